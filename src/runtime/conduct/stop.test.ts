import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import test, { mock, type TestContext } from "node:test";
import type { Supervised } from "../../host/index.ts";
import { type Cancels, Stopping } from "./stop.ts";

/** A run that does nothing but note what is asked of it. */
function recordedRun(): Supervised & { readonly asked: string[] } {
	const asked: string[] = [];
	return {
		asked,
		stdin: new PassThrough(),
		stdout: new PassThrough(),
		stderr: new PassThrough(),
		supervisorPid: 1,
		programPid: 1,
		signal: (name) => void asked.push(name),
		resize: ({ rows, columns }) => void asked.push(`${rows}x${columns}`),
		watchDisk: () => {},
		kill: () => void asked.push("kill"),
		onEvent: () => {},
		ended: new Promise(() => {}),
	};
}

interface Scene {
	readonly run: ReturnType<typeof recordedRun>;
	readonly stopping: Stopping;
	readonly said: readonly string[];
	/** Whoever asked for the run asks to end it. */
	cancel(signal: NodeJS.Signals): void;
	listening(): "yes" | "no";
}

function scene(context: TestContext, timeoutMs: number | null): Scene {
	mock.timers.enable({ apis: ["setTimeout"] });
	const run = recordedRun();
	const said: string[] = [];
	let heard: ((signal: NodeJS.Signals) => void) | undefined;
	const cancels: Cancels = (cancel) => {
		heard = cancel;
		return () => {
			heard = undefined;
		};
	};
	const stopping = new Stopping(run, timeoutMs, cancels, (text) => void said.push(text));
	context.after(() => {
		stopping.done();
		mock.timers.reset();
	});
	return {
		run,
		stopping,
		said,
		cancel: (signal) => heard?.(signal),
		listening: () => (heard === undefined ? "no" : "yes"),
	};
}

test("a timeout asks with SIGTERM, and kills after five seconds of grace", (context) => {
	const { run, stopping, said } = scene(context, 90_000);
	mock.timers.tick(89_999);
	assert.deepEqual(run.asked, []);
	mock.timers.tick(1);
	assert.deepEqual(run.asked, ["SIGTERM"]);
	assert.equal(stopping.reason, "timeout");
	assert.deepEqual(said, ["time is up"]);
	mock.timers.tick(4999);
	assert.deepEqual(run.asked, ["SIGTERM"]);
	mock.timers.tick(1);
	assert.deepEqual(run.asked, ["SIGTERM", "kill"]);
});

test("without a timeout the clock ends nothing", (context) => {
	const { run, stopping } = scene(context, null);
	mock.timers.tick(2 ** 31 - 1);
	assert.deepEqual(run.asked, []);
	assert.equal(stopping.reason, null);
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
	test(`${signal} once is passed on; the run has its grace`, (context) => {
		const { run, stopping, cancel } = scene(context, null);
		cancel(signal);
		assert.deepEqual(run.asked, [signal]);
		assert.equal(stopping.reason, "cancelled");
		assert.equal(stopping.signal, signal);
		mock.timers.tick(5000);
		assert.deepEqual(run.asked, [signal, "kill"]);
	});
}

test("a second cancel kills at once", (context) => {
	const { run, stopping, cancel } = scene(context, null);
	cancel("SIGINT");
	cancel("SIGINT");
	assert.deepEqual(run.asked, ["SIGINT", "kill"]);
	assert.equal(stopping.reason, "cancelled");
	assert.equal(stopping.signal, "SIGINT");
});

test("a cancel in the grace of a timeout kills at once, and it stays a timeout", (context) => {
	const { run, stopping, cancel } = scene(context, 1000);
	mock.timers.tick(1000);
	cancel("SIGINT");
	assert.deepEqual(run.asked, ["SIGTERM", "kill"]);
	assert.equal(stopping.reason, "timeout");
	assert.equal(stopping.signal, null);
});

test("a timeout in the grace of a cancel changes nothing", (context) => {
	const { run, stopping, cancel } = scene(context, 1000);
	cancel("SIGINT");
	mock.timers.tick(1000);
	assert.deepEqual(run.asked, ["SIGINT"]);
	assert.equal(stopping.reason, "cancelled");
});

test("output past its limit kills without grace, and the first reason stays", (context) => {
	const { run, stopping } = scene(context, 1000);
	stopping.outputExhausted();
	stopping.outputExhausted();
	assert.deepEqual([...new Set(run.asked)], ["kill"]);
	mock.timers.tick(1000);
	assert.equal(stopping.reason, "output-limit");
	assert.equal(run.asked.includes("SIGTERM"), false);
});

test("when it is done no timer is left and no cancel is heard", (context) => {
	const { run, stopping, cancel, listening } = scene(context, 1000);
	assert.equal(listening(), "yes");
	cancel("SIGTERM");
	stopping.done();
	assert.equal(listening(), "no");
	mock.timers.tick(60_000);
	assert.deepEqual(run.asked, ["SIGTERM"]);
});

test("a timeout longer than a timer can wait does not end the run early", (context) => {
	const { run } = scene(context, 30 * 24 * 3_600_000);
	mock.timers.tick(2 ** 31 - 1);
	assert.deepEqual(run.asked, []);
	mock.timers.tick(30 * 24 * 3_600_000 - (2 ** 31 - 1));
	assert.deepEqual(run.asked, ["SIGTERM"]);
});
