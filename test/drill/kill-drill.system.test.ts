import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { postgresPrograms } from "../fleet/postgres-cluster.ts";

/** The part of every test run; `npm run test:drill` goes on for minutes. */
const SECONDS = 10;

const programs = postgresPrograms();
const skip = "missing" in programs ? programs.missing : false;

test("agents and control planes are killed and stopped: every directive is accounted for", { skip }, async (t) => {
	const words = [join(import.meta.dirname, "drill.ts"), "--seconds", String(SECONDS)];
	const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
		execFile(process.execPath, words, { timeout: 115_000 }, (_error, out, err) =>
			resolve({ stdout: out, stderr: err }),
		);
	});
	t.diagnostic(stdout.trim());
	const summary = JSON.parse(stdout || assert.fail(stderr.slice(-2000)));
	assert.deepEqual(summary.problems, []);
	assert.ok(summary.killedAgents + summary.stoppedAgents > 0, "nobody was hurt");
	assert.ok(summary.succeeded > 0, "nothing was done");
});
