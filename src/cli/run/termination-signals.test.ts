import assert from "node:assert/strict";
import test from "node:test";
import { terminationSignals } from "./termination-signals.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const listeners = () => SIGNALS.map((signal) => process.listenerCount(signal));

test("each signal that asks a program to end cancels the run, until nobody listens any more", () => {
	const before = listeners();
	const heard: string[] = [];
	const ignore = terminationSignals((signal) => void heard.push(signal));
	assert.deepEqual(
		listeners(),
		before.map((count) => count + 1),
	);
	for (const signal of SIGNALS) process.emit(signal, signal);
	assert.deepEqual(heard, [...SIGNALS]);
	ignore();
	assert.deepEqual(listeners(), before);
});
