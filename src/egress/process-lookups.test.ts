import assert from "node:assert/strict";
import { test } from "node:test";
import { sparingLookup } from "./process-lookups.ts";

const SOURCE = { address: "10.0.2.2", port: 40_000 };

/** Blocks everything, as reading /proc does. */
function block(ms: number): void {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test("few look-ups are all done", async () => {
	const lookUp = sparingLookup(async () => ({ pid: 7, name: "curl" }));
	for (let i = 0; i < 100; i += 1) assert.deepEqual(await lookUp(SOURCE), { pid: 7, name: "curl" });
});

test("a flood buys a bounded time of blocking, and later ones are done again", async () => {
	let done = 0;
	const lookUp = sparingLookup(async () => {
		block(25);
		done += 1;
		return { pid: 7, name: "flood" };
	});
	for (let i = 0; i < 500; i += 1) await lookUp(SOURCE);
	assert.ok(done >= 8 && done <= 12, String(done));
	assert.equal(await lookUp(SOURCE), null);
	block(700);
	assert.notEqual(await lookUp(SOURCE), null);
});
