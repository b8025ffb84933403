import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import test, { type TestContext } from "node:test";
import { newId, type RunId, systemClock } from "../../core/index.ts";
import type { Ending, Supervised } from "../../host/index.ts";
import type { Workload } from "../schema.ts";
import { observe, type Screens } from "./observe.ts";
import { type RunFiles, RunRecords } from "./records.ts";

const ENDING: Ending = { exitCode: 0, signal: null, cause: "program", message: null, counters: null };
const NO_SCREENS: Screens = { stdin: null, stdout: null, stderr: null, secrets: "shown", say: () => {} };

const tiesTo = (screens: Screens) => ({ environment: {}, screens, cancels, beyondOutputLimit: "killed" as const });

let listening = 0;
const cancels = (): (() => void) => {
	listening += 1;
	return () => {
		listening -= 1;
	};
};

/** `cat`, more or less: prints what it reads, ends when that does or when it is killed. */
function cat(): Supervised & { readonly asked: string[] } {
	const asked: string[] = [];
	const [pipe, stderr] = [new PassThrough(), new PassThrough()];
	const ended = new Promise<Ending>((resolve) => {
		const end = (): void => {
			stderr.end();
			resolve(ENDING);
		};
		pipe.once("finish", end);
		pipe.once("close", end);
	});
	return {
		asked,
		stdin: pipe,
		stdout: pipe,
		stderr,
		supervisorPid: 1,
		programPid: 1,
		signal: (name) => void asked.push(name),
		resize: ({ rows, columns }) => void asked.push(`${rows}x${columns}`),
		watchDisk: () => {},
		kill: () => {
			asked.push("kill");
			pipe.destroy();
		},
		onEvent: () => {},
		ended,
	};
}

const workload = (outputBytes: number | null): Workload => ({
	schema: "vouch.workload/v1",
	root: { kind: "host" },
	argv: ["cat"],
	workingDirectory: "/",
	environment: [],
	secrets: [],
	workspace: null,
	exposed: [],
	network: { mode: "none", allow: [], deny: [], http: [] },
	limits: {
		cpuMillicores: null,
		memoryMiB: null,
		processes: null,
		openFiles: null,
		diskWriteMiB: null,
		outputBytes,
		timeoutMs: null,
	},
	demands: [],
	isolation: null,
});

function filesIn(context: TestContext): RunFiles {
	const directory = mkdtempSync(join(tmpdir(), "vouch-observe-"));
	context.after(() => rmSync(directory, { recursive: true }));
	const files = new RunRecords(directory).files(newId<RunId>(0));
	mkdirSync(files.directory);
	return files;
}

test("what goes in is digested, what comes out is kept", async (context) => {
	const files = filesIn(context);
	const input = Buffer.alloc(300_000, "in and out ");
	const screens = { ...NO_SCREENS, stdin: Readable.from([input.subarray(0, 7), input.subarray(7)]) };
	const observed = await observe(cat(), workload(null), files, tiesTo(screens), systemClock);
	const digest = `sha256:${createHash("sha256").update(input).digest("hex")}`;
	assert.deepEqual(observed.stdin, { digest, bytes: input.length });
	assert.deepEqual(observed.stdout, { digest, bytes: input.length, truncated: false });
	assert.deepEqual(readFileSync(files.stdout), input);
	assert.equal(observed.stopped, null);
	assert.deepEqual(observed.ending, ENDING);
});

test("no stdin is an empty one, and nothing is claimed of it", async (context) => {
	const observed = await observe(cat(), workload(null), filesIn(context), tiesTo(NO_SCREENS), systemClock);
	assert.equal(observed.stdin, null);
	assert.equal(observed.stdout.bytes, 0);
});

test("when the output can't be kept the run is killed, not left alone", async () => {
	const run = cat();
	const nowhere = new RunRecords(join(tmpdir(), "vouch-no-such-folder")).files(newId<RunId>(0));
	const endless = { ...NO_SCREENS, stdin: new Readable({ read() {} }) };
	endless.stdin.push("something");
	await assert.rejects(observe(run, workload(null), nowhere, tiesTo(endless), systemClock), /ENOENT/);
	assert.deepEqual(run.asked, ["kill"]);
});

test("nothing listens for a cancel when it is over, however it ended", async (context) => {
	await observe(cat(), workload(10), filesIn(context), tiesTo(NO_SCREENS), systemClock);
	assert.equal(listening, 0);
});
