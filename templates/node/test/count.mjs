import assert from "node:assert/strict";
import test from "node:test";
import { count } from "../count.mjs";

test("words are parted by any space", () => {
	assert.deepEqual(count(Buffer.from("one two\n\tthree\n")), { lines: 2, words: 3, bytes: 15 });
});

test("nothing is nothing", () => {
	assert.deepEqual(count(Buffer.alloc(0)), { lines: 0, words: 0, bytes: 0 });
});
