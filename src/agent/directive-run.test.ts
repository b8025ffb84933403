import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import pino from "pino";
import type { Lease } from "../api/conduits/schema.ts";
import { digestOf, hexOfDigest } from "../core/index.ts";
import { ConduitsClient } from "./conduits-client.ts";
import { DirectiveRun, type DirectiveRunParts } from "./directive-run.ts";
import type { Engine, Execution, ExecutionTies } from "./engine.ts";
import { FinishedLog } from "./finished-log.ts";
import type { Reply, Transport } from "./transport.ts";

const ENDED: Execution = {
	status: "succeeded",
	exitCode: 0,
	receipt: { signed: true },
	diff: null,
	diffTruncated: "whole",
	cut: [],
	snapshots: { before: "sha256:a", after: "sha256:b" },
	overflow: null,
	artifacts: [],
	driver: "fake",
};

const LEASE: Lease = {
	directive_id: "d-1",
	directive_token: "first",
	spec: { directive_id: "d-1", facility: { id: "f" }, sandbox_profile: "untrusted", command: "x" },
};

/** A clock that a test moves: whoever waits goes on when their time has come. */
class Clock {
	nowMs = 1_000_000;
	#waiting: { readonly untilMs: number; readonly resume: () => void }[] = [];

	readonly pause = (durationMs: number, stop: AbortSignal): Promise<void> =>
		new Promise((resolve) => {
			if (stop.aborted) return resolve();
			stop.addEventListener("abort", () => resolve(), { once: true });
			this.#waiting.push({ untilMs: this.nowMs + durationMs, resume: resolve });
		});

	async forward(durationMs: number): Promise<void> {
		const end = this.nowMs + durationMs;
		while (this.nowMs < end) {
			this.nowMs += 1000;
			for (const { resume } of this.#waiting.filter(({ untilMs }) => untilMs <= this.nowMs)) resume();
			this.#waiting = this.#waiting.filter(({ untilMs }) => untilMs > this.nowMs);
			// What was resumed runs to where it waits next.
			for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
		}
	}
}

interface Scene {
	readonly clock: Clock;
	readonly said: string[];
	readonly ties: () => ExecutionTies;
	readonly end: (execution: Execution) => void;
	readonly outcome: Promise<string>;
	readonly log: FinishedLog;
	/** What the control plane answers to a report, by the last part of its path. */
	answers: (what: string) => Reply | Error;
}

function scene(context: TestContext): Scene {
	const directory = mkdtempSync(join(tmpdir(), "vouch-run-"));
	context.after(() => rmSync(directory, { recursive: true }));
	const clock = new Clock();
	const said: string[] = [];
	const { promise: execution, resolve: end } = Promise.withResolvers<Execution>();
	let ties: ExecutionTies | undefined;
	const engine: Engine = {
		profiles: ["untrusted"],
		version: "fake",
		refuse: async () => undefined,
		execute: (_lease, given) => {
			ties = given;
			return execution;
		},
		capacity: async () => ({}),
	};
	const good: Reply = {
		status: 200,
		body: { directive_token: "newer", cancel_requested: false },
		retryAfterSeconds: null,
	};
	const made: Scene = {
		clock,
		said,
		ties: () => ties ?? assert.fail("it does not run yet"),
		end,
		outcome: Promise.resolve(""),
		log: new FinishedLog(directory),
		answers: () => good,
	};
	const post = async (path: string): Promise<Reply> => {
		const what = path.split("/").at(-1) ?? "";
		said.push(what);
		const answer = made.answers(what);
		if (answer instanceof Error) throw answer;
		return answer;
	};
	const parts: DirectiveRunParts = {
		client: new ConduitsClient({ post } as unknown as Transport),
		engine,
		finishedLog: made.log,
		waiting: { pause: clock.pause, random: () => 0.5 },
		log: pino({ level: "silent" }),
		version: "0",
		heartbeatMs: 10_000,
		maxOutputBytes: 1000,
		nowMs: () => clock.nowMs,
		noted: () => {},
		shutdown: new AbortController().signal,
	};
	const run = new DirectiveRun(LEASE, { leaseMs: 300_000, askedMs: clock.nowMs }, parts);
	return Object.assign(made, { outcome: run.run() });
}

/** Time goes on until it has ended: files are really written and read meanwhile, which takes as long as it takes. */
async function outcomeOf({ outcome, clock }: Scene): Promise<string> {
	let settled: string | undefined;
	void outcome.then((each) => {
		settled = each;
	});
	while (settled === undefined) await clock.forward(1000);
	return settled;
}

/** What was told, in order. The lease is renewed meanwhile, as often as the files take. */
function toldBy({ said }: Scene): readonly string[] {
	return said.filter((what) => what !== "heartbeat");
}

test("a lease that is renewed lasts as long as the work", async (context) => {
	const made = scene(context);
	await made.clock.forward(1_200_000);
	assert.ok(made.said.filter((what) => what === "heartbeat").length >= 100);
	assert.equal(made.ties().stop.aborted, false);
	made.end(ENDED);
	assert.equal(await outcomeOf(made), "delivered");
	assert.deepEqual(toldBy(made), ["started", "receipt", "finished"]);
});

test("one that can't be renewed stops the work before it runs out, and nothing more is told", async (context) => {
	const made = scene(context);
	await made.clock.forward(60_000);
	made.answers = () => new Error("cut off");
	await made.clock.forward(230_000);
	assert.equal(made.ties().stop.aborted, false, "the lease still lasts");
	await made.clock.forward(60_000);
	assert.equal(made.ties().stop.aborted, true);
	made.end({ ...ENDED, status: "canceled" });
	assert.equal(await outcomeOf(made), "lost");
	assert.deepEqual(await made.log.read(made.clock.nowMs), []);
});

test("one that has ended before it began is not begun", async (context) => {
	const made = scene(context);
	made.answers = () => ({ status: 200, body: { state: "canceled", duplicate: true }, retryAfterSeconds: null });
	assert.equal(await outcomeOf(made), "lost");
	assert.deepEqual(made.said, ["started"]);
	assert.throws(() => made.ties(), /does not run/);
});

test("one that is somebody else's stops the work at once", async (context) => {
	const made = scene(context);
	await made.clock.forward(1000);
	made.answers = (what) => ({ status: what === "heartbeat" ? 403 : 200, body: {}, retryAfterSeconds: null });
	await made.clock.forward(11_000);
	assert.equal(made.ties().stop.aborted, true);
	made.end(ENDED);
	assert.equal(await outcomeOf(made), "lost");
});

test("an end that can't be told is kept with its receipt, and it is not told without it", async (context) => {
	const made = scene(context);
	await made.clock.forward(1000);
	made.answers = (what) => ({ status: what === "receipt" ? 503 : 200, body: {}, retryAfterSeconds: null });
	made.end(ENDED);
	assert.equal(await outcomeOf(made), "kept");
	assert.ok(!made.said.includes("finished"));
	const [report] = await made.log.read(made.clock.nowMs);
	assert.deepEqual(report?.receipt, { signed: true });
	assert.equal(report?.request.status, "succeeded");
});

test("a control plane without a place for receipts hears of the end all the same", async (context) => {
	const made = scene(context);
	await made.clock.forward(1000);
	made.answers = (what) => ({ status: what === "receipt" ? 404 : 200, body: {}, retryAfterSeconds: null });
	made.end(ENDED);
	assert.equal(await outcomeOf(made), "delivered");
	assert.deepEqual(await made.log.read(made.clock.nowMs), []);
});

/** Ends with one file, which the engine has handed over. */
async function endedWithFile(context: TestContext, made: Scene): Promise<void> {
	const folder = mkdtempSync(join(tmpdir(), "vouch-run-files-"));
	context.after(() => rmSync(folder, { recursive: true, force: true }));
	const digest = digestOf("built");
	mkdirSync(join(folder, "artifacts"));
	writeFileSync(join(folder, "artifacts", hexOfDigest(digest)), "built");
	await made.ties().keepArtifacts(join(folder, "artifacts"));
	made.end({ ...ENDED, artifacts: [{ name: "a", bytes: 5, digest }] });
}

test("files go before the receipt and the end, and are kept no longer than these", async (context) => {
	const made = scene(context);
	await made.clock.forward(1000);
	await endedWithFile(context, made);
	assert.equal(await outcomeOf(made), "delivered");
	assert.deepEqual(toldBy(made), ["started", "artifacts", "receipt", "finished"]);
	assert.equal(existsSync(made.log.artifactFolder("d-1")), false);
});

test("files that can't be sent are kept with their end, and it is not told without them; ones that are refused don't hold it back", async (context) => {
	const made = scene(context);
	await made.clock.forward(1000);
	made.answers = (what) => ({ status: what === "artifacts" ? 503 : 200, body: {}, retryAfterSeconds: null });
	await endedWithFile(context, made);
	assert.equal(await outcomeOf(made), "kept");
	assert.deepEqual([made.said.includes("receipt"), made.said.includes("finished")], [false, false]);
	assert.equal((await made.log.read(made.clock.nowMs))[0]?.artifacts?.length, 1);
	await made.log.sweep();
	assert.equal(existsSync(made.log.artifactFolder("d-1")), true, "an end names them");
	const refused = scene(context);
	await refused.clock.forward(1000);
	refused.answers = (what) => ({ status: what === "artifacts" ? 409 : 200, body: {}, retryAfterSeconds: null });
	await endedWithFile(context, refused);
	assert.equal(await outcomeOf(refused), "delivered");
});

test("files of a lease that was lost are dropped, and those that a kill left are swept", async (context) => {
	const made = scene(context);
	await made.clock.forward(1000);
	made.answers = (what) => ({ status: what === "heartbeat" ? 403 : 200, body: {}, retryAfterSeconds: null });
	await made.clock.forward(11_000);
	await endedWithFile(context, made);
	assert.equal(await outcomeOf(made), "lost");
	assert.equal(existsSync(made.log.artifactFolder("d-1")), false);
	mkdirSync(made.log.artifactFolder("d-2"));
	await made.log.sweep();
	assert.equal(existsSync(made.log.artifactFolder("d-2")), false);
});
