import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { severalAtOnce } from "./several.ts";

test("results come in the order of the items", async () => {
	const items = [30, 1, 20, 2, 10];
	const doubled = await severalAtOnce(items, undefined, async (ms) => {
		await sleep(ms);
		return ms * 2;
	});
	assert.deepEqual(doubled, [60, 2, 40, 4, 20]);
	assert.deepEqual(await severalAtOnce([], undefined, async () => 1), []);
});

test("when one fails the others stop, and have stopped", async () => {
	let running = 0;
	const work = async (what: string, signal: AbortSignal) => {
		running += 1;
		try {
			if (what === "fails") throw new Error("its own");
			for (;;) {
				await sleep(5);
				signal.throwIfAborted();
			}
		} finally {
			running -= 1;
		}
	};
	await assert.rejects(severalAtOnce(["waits", "fails", "never"], undefined, work), /its own/);
	assert.equal(running, 0);
});

test("interrupted, it ends with the signal's reason", async () => {
	const stop = new AbortController();
	const work = async (_: number, signal: AbortSignal) => {
		await sleep(10);
		signal.throwIfAborted();
	};
	setTimeout(() => stop.abort(new Error("enough")), 5);
	await assert.rejects(severalAtOnce([1, 2, 3], stop.signal, work), /enough/);
});
