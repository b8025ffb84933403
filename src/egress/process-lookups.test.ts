import assert from "node:assert/strict";
import { test } from "node:test";
import { sparingLookup } from "./process-lookups.ts";

const SOURCE = { address: "10.0.2.2", port: 40_000 };
const FOUND = { pid: 7, name: "curl" };

test("a flood buys a bounded number of look-ups, and later ones are done again", async () => {
	let nowMs = 0;
	const lookUp = sparingLookup(
		async () => FOUND,
		() => nowMs,
	);
	const found = await Promise.all(Array.from({ length: 500 }, () => lookUp(SOURCE)));
	assert.equal(found.filter((process) => process !== null).length, 8);
	nowMs += 1000;
	assert.deepEqual(await lookUp(SOURCE), FOUND);
	assert.equal(await lookUp(SOURCE), null);
	nowMs += 3_600_000;
	const later = await Promise.all(Array.from({ length: 500 }, () => lookUp(SOURCE)));
	assert.equal(later.filter((process) => process !== null).length, 8);
});
