import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { newId, type RunId, VouchError } from "../../core/index.ts";
import { type RunRecord, RunRecords } from "../../runtime/index.ts";
import { findRun } from "./find-run.ts";

const START_MS = Date.UTC(2026, 0, 2);

function emptyRecords(context: TestContext): RunRecords {
	const directory = mkdtempSync(join(tmpdir(), "vouch-find-run-"));
	context.after(() => rmSync(directory, { recursive: true }));
	return new RunRecords(join(directory, "runs"));
}

function addRun(records: RunRecords, nowMs: number): RunRecord {
	const record: RunRecord = {
		runId: newId<RunId>(nowMs),
		argv: ["echo", "hi"],
		driver: "bwrap",
		startedAt: new Date(nowMs).toISOString(),
		owner: { pid: process.pid, startTicks: "1" },
		status: "ended",
	};
	records.create(record);
	return record;
}

const isNotFound = (error: unknown) => error instanceof VouchError && error.code === "cli.run-not-found";

test("a run is found by its id, the beginning of one, and last", (context) => {
	const records = emptyRecords(context);
	const [first, second] = [addRun(records, START_MS), addRun(records, START_MS + 86_400_000)];
	assert.equal(findRun(records, first.runId).runId, first.runId);
	assert.equal(findRun(records, second.runId.slice(0, 12)).runId, second.runId);
	assert.equal(findRun(records, "last").runId, second.runId);
});

test("what names no run, or several, is refused with what to do", (context) => {
	const records = emptyRecords(context);
	assert.throws(() => findRun(records, "last"), isNotFound);
	const [first] = [addRun(records, START_MS), addRun(records, START_MS + 1)];
	for (const text of ["", "ffffffff", "../../etc"]) assert.throws(() => findRun(records, text), isNotFound);
	assert.throws(() => findRun(records, first?.runId.slice(0, 8) ?? ""), /2 runs begin with that\. Give more of the id/);
});
