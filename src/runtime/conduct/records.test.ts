import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import fc from "fast-check";
import { newId, type RunId } from "../../core/index.ts";
import { isOwnerAlive, type RunRecord, RunRecords, startTicksOf } from "./records.ts";

function folder(context: TestContext): string {
	const directory = mkdtempSync(join(tmpdir(), "vouch-records-"));
	context.after(() => rmSync(directory, { recursive: true }));
	return join(directory, "runs");
}

const START_MS = Date.UTC(2026, 0, 2);

function recordAt(nowMs: number): RunRecord {
	return {
		runId: newId<RunId>(nowMs),
		argv: ["echo", "hi"],
		driver: "bwrap",
		startedAt: new Date(nowMs).toISOString(),
		owner: { pid: process.pid, startTicks: startTicksOf(process.pid) ?? assert.fail("no /proc") },
		status: "live",
	};
}

test("without the folder there are no runs", (context) => {
	const records = new RunRecords(folder(context));
	assert.deepEqual(records.list(), []);
});

test("a record comes back as it was written, private, and update leaves one file", (context) => {
	const records = new RunRecords(folder(context));
	const record = recordAt(START_MS);
	const files = records.create(record);
	assert.deepEqual(records.read(record.runId), record);
	assert.equal(statSync(files.directory).mode & 0o777, 0o700);
	assert.equal(statSync(files.record).mode & 0o777, 0o600);
	records.update({ ...record, status: "ended" });
	assert.equal(records.read(record.runId)?.status, "ended");
	assert.deepEqual(readdirSync(files.directory), ["record.json"]);
});

test("newest first; what is no run is passed over", (context) => {
	const directory = folder(context);
	const records = new RunRecords(directory);
	const written = [0, 5, 2].map((minutes) => recordAt(START_MS + minutes * 60_000));
	for (const record of written) records.create(record);
	mkdirSync(join(directory, "lost+found"));
	mkdirSync(join(directory, newId<RunId>(START_MS)));
	writeFileSync(join(directory, "notes.txt"), "not a run");
	assert.deepEqual(
		records.list().map((record) => record.startedAt),
		["2026-01-02T00:05:00.000Z", "2026-01-02T00:02:00.000Z", "2026-01-02T00:00:00.000Z"],
	);
});

test("a damaged record, whatever is in it, is no run and no failure", (context) => {
	const records = new RunRecords(folder(context));
	const record = recordAt(START_MS);
	const files = records.create(record);
	const damage = fc.oneof(
		fc.string(),
		fc.jsonValue().map((value) => JSON.stringify(value)),
		fc.constantFrom(JSON.stringify({ ...record, status: "unknown" }), JSON.stringify({ ...record, more: 1 })),
	);
	fc.assert(
		fc.property(damage, (text) => {
			writeFileSync(files.record, text);
			assert.equal(records.read(record.runId), undefined);
			assert.deepEqual(records.list(), []);
		}),
		{ numRuns: 100 },
	);
});

test("a forgotten run leaves nothing", (context) => {
	const directory = folder(context);
	const records = new RunRecords(directory);
	const record = recordAt(START_MS);
	writeFileSync(records.create(record).stdout, "some output");
	records.forget(record.runId);
	assert.deepEqual(readdirSync(directory), []);
	records.forget(record.runId);
});

test("an owner is alive while its process is, and a reused pid is not it", async () => {
	const record = recordAt(START_MS);
	assert.equal(isOwnerAlive(record), true);
	assert.equal(isOwnerAlive({ ...record, owner: { ...record.owner, startTicks: "1" } }), false);
	assert.equal(isOwnerAlive({ ...record, owner: { ...record.owner, startTicks: "" } }), false);
	const child = spawn("sleep", ["60"]);
	const pid = child.pid ?? assert.fail("sleep did not start");
	const owner = { pid, startTicks: startTicksOf(pid) ?? assert.fail("no start time") };
	assert.equal(isOwnerAlive({ ...record, owner }), true);
	child.kill("SIGKILL");
	await once(child, "exit");
	assert.equal(isOwnerAlive({ ...record, owner }), false);
	assert.equal(startTicksOf(pid), undefined);
});

test("start times are read right though a process names itself like a row of /proc", async () => {
	const child = spawn("bash", ["-c", "exec -a sleep sleep 60"]);
	const tricky = spawn("bash", ["-c", "printf 'a) S 1 2 3' > /proc/$$/comm; read -r"], {
		stdio: ["pipe", "ignore", "inherit"],
	});
	try {
		await new Promise((resolve) => setTimeout(resolve, 200));
		const [plain, named] = [child.pid, tricky.pid].map((pid) => Number(startTicksOf(pid ?? 0)));
		assert.ok(plain !== undefined && named !== undefined && Math.abs(plain - named) < 200, `${plain} and ${named}`);
	} finally {
		child.kill("SIGKILL");
		tricky.kill("SIGKILL");
	}
});
