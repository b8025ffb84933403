import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { FinishedLog, type UndeliveredReport } from "./finished-log.ts";

const NOW_MS = Date.UTC(2026, 0, 10);

function directoryFor(context: TestContext): string {
	const directory = mkdtempSync(join(tmpdir(), "vouch-wal-"));
	context.after(() => rmSync(directory, { recursive: true }));
	return join(directory, "state");
}

function report(name: string, daysAgo = 0): UndeliveredReport {
	const ts = new Date(NOW_MS - daysAgo * 86_400_000).toISOString();
	return {
		ts,
		directive_id: name,
		token: `token-${name}`,
		request: { status: "failed", exit_code: 1 },
		receipt: { a: [1] },
	};
}

test("what is appended is there after a restart, private, until it was delivered", async (context) => {
	const directory = directoryFor(context);
	const log = new FinishedLog(directory);
	await Promise.all([log.append(report("a")), log.append(report("b"))]);
	const path = join(directory, "finished.wal");
	assert.equal(statSync(path).mode & 0o777, 0o600);
	assert.equal(statSync(directory).mode & 0o777, 0o700);
	assert.deepEqual(await new FinishedLog(directory).read(NOW_MS), [report("a"), report("b")]);
	await log.remove(report("a"));
	assert.deepEqual(await new FinishedLog(directory).read(NOW_MS), [report("b")]);
	await log.remove(report("b"));
	assert.equal(readFileSync(path, "utf8"), "");
});

test("a line that a crash cut off harms neither those before nor those after", async (context) => {
	const directory = directoryFor(context);
	const log = new FinishedLog(directory);
	await log.append(report("a"));
	await log.append(report("b"));
	const path = join(directory, "finished.wal");
	truncateSync(path, statSync(path).size - 20);
	await log.append(report("c"));
	appendFileSync(path, "\u0000\u0000{]\n");
	assert.deepEqual(await log.read(NOW_MS), [report("a"), report("c")]);
});

test("a report that nobody wanted for a week is not told any more", async (context) => {
	const log = new FinishedLog(directoryFor(context));
	await log.append(report("old", 8));
	await log.append(report("new", 6));
	assert.deepEqual(await log.read(NOW_MS), [report("new", 6)]);
});
