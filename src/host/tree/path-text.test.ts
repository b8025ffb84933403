import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { printablePath, rawOfPath, rawOfText } from "./path-text.ts";

test("any bytes survive the way to text and back, and no two names share a text", () => {
	const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array).toString("latin1"));
	fc.assert(
		fc.property(bytes, bytes, (left, right) => {
			assert.equal(rawOfPath(printablePath(left)), left);
			assert.equal(printablePath(left) === printablePath(right), left === right);
			assert.ok(printablePath(left).isWellFormed());
		}),
		{ numRuns: 2000 },
	);
});

test("text in UTF-8 stays readable; what a terminal obeys or hides is spelled out", () => {
	assert.equal(printablePath(rawOfText("src/häuser/日本.ts")), "src/häuser/日本.ts");
	assert.equal(printablePath("a\x1b[2Jb"), "a\\x1b[2Jb");
	assert.equal(printablePath("line\nbreak"), "line\\x0abreak");
	assert.equal(printablePath("back\\x41slash"), "back\\x5cx41slash");
	assert.equal(printablePath(rawOfText("exe\u202Etxt.sh")), "exe\\xe2\\x80\\xaetxt.sh");
	assert.equal(printablePath("caf\xe9"), "caf\\xe9");
});
