import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { utf8 } from "./bytes.ts";
import { digestOf, digestOfJson, digestSchema, hexOfDigest, sha256 } from "./digest.ts";

describe("digests", () => {
	it("are SHA-256 (FIPS 180-4 examples)", () => {
		const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
		assert.equal(digestOf("abc"), `sha256:${abc}`);
		assert.equal(digestOf(utf8("abc")), `sha256:${abc}`);
		assert.equal(Buffer.from(sha256(utf8("abc"))).toString("hex"), abc);
		assert.equal(hexOfDigest(digestOf("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	});

	it("of JSON do not depend on the order of members", () => {
		assert.equal(digestOfJson({ a: 1, b: [2] }), digestOfJson({ b: [2], a: 1 }));
		assert.equal(digestOfJson({ a: 1 }), digestOf('{"a":1}'));
	});

	it("have one spelling", () => {
		const digest = digestOf("x");
		assert.equal(digestSchema.parse(digest), digest);
		for (const text of [digest.toUpperCase(), digest.slice(7), `${digest}0`, `${digest}\n`, digest.slice(0, -1), ""]) {
			assert.equal(digestSchema.safeParse(text).success, false, text);
		}
	});
});
