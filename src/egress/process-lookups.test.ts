import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { sparingLookup } from "./process-lookups.ts";

const SOURCE = { address: "10.0.2.2", port: 40_000 };

test("few look-ups are all done", async () => {
	const lookUp = sparingLookup(async () => ({ pid: 7, name: "curl" }));
	for (let i = 0; i < 100; i += 1) assert.deepEqual(await lookUp(SOURCE), { pid: 7, name: "curl" });
});

test("a flood gets few look-ups at once and a bounded queue; later ones are done again", async () => {
	let active = 0;
	let most = 0;
	const lookUp = sparingLookup(async () => {
		active += 1;
		most = Math.max(most, active);
		await delay(1);
		active -= 1;
		return { pid: 7, name: "flood" };
	});
	const found = await Promise.all(Array.from({ length: 500 }, () => lookUp(SOURCE)));
	assert.equal(most, 4);
	assert.equal(found.filter((process) => process !== null).length, 68);
	assert.notEqual(await lookUp(SOURCE), null);
});

test("a look-up that fails gives its place back", async () => {
	const lookUp = sparingLookup(async () => Promise.reject(new Error("gone")));
	for (let i = 0; i < 10; i += 1) await assert.rejects(lookUp(SOURCE));
});
