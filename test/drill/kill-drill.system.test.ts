import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { postgresPrograms } from "../fleet/postgres-cluster.ts";
import { processesWith, until } from "../system/front-door.ts";

/** The part of every test run; `npm run test:drill` goes on for minutes. */
const SECONDS = 10;

const programs = postgresPrograms();
const skip = "missing" in programs ? programs.missing : false;

const drill = join(import.meta.dirname, "drill.ts");

test("a drill that is ended before its fleet is up leaves no process and no file of it", { skip }, async (t) => {
	const home = mkdtempSync(join(tmpdir(), "vouch-drill-"));
	// PostgreSQL runs as a user of its own.
	chmodSync(home, 0o755);
	t.after(() => rmSync(home, { recursive: true, force: true }));
	const going = spawn(process.execPath, [drill], { env: { ...process.env, TMPDIR: home }, stdio: "ignore" });
	const ended = once(going, "exit");
	await until("a control plane begins", () => processesWith(`${home}/vouch-door-`).length > 0);
	assert.ok(processesWith(`${home}/vouch-test-pg-`).length > 0, "PostgreSQL runs");
	going.kill("SIGTERM");
	assert.deepEqual(await ended, [130, null]);
	assert.deepEqual(readdirSync(home), []);
	assert.deepEqual(processesWith(home), []);
});

test("agents and control planes are killed and stopped: every directive is accounted for", { skip }, async (t) => {
	const words = [drill, "--seconds", String(SECONDS)];
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
