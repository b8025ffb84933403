import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { bytesFromBase64, bytesFromHex, concatBytes, equalBytes, toBase64, utf8 } from "./bytes.ts";

describe("strict base64 and hexadecimal", () => {
	it("takes the test vectors of RFC 4648 section 10", () => {
		const vectors = {
			"": "",
			f: "Zg==",
			fo: "Zm8=",
			foo: "Zm9v",
			foob: "Zm9vYg==",
			fooba: "Zm9vYmE=",
			foobar: "Zm9vYmFy",
		};
		for (const [text, encoded] of Object.entries(vectors)) {
			assert.equal(toBase64(utf8(text)), encoded);
			assert.deepEqual(bytesFromBase64(encoded), utf8(text));
		}
	});

	it("refuses every other spelling", () => {
		for (const text of [
			"Zg",
			"Zg=",
			"Zh==",
			"Zm9=",
			"Zm 9v",
			"Zm9v\n",
			"Zm9v=",
			"Z",
			"_-8=",
			"Zg==Zg==",
			"Zm9v\0",
			"é",
		]) {
			assert.equal(bytesFromBase64(text), undefined, text);
		}
		for (const text of ["0", "0g", "AB", "ab ", " ab", "0xab", "ab\n"])
			assert.equal(bytesFromHex(text), undefined, text);
	});

	it("has exactly one text for bytes: what parses is what would be written", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
				assert.deepEqual(bytesFromBase64(toBase64(bytes)), bytes);
				assert.deepEqual(bytesFromHex(Buffer.from(bytes).toString("hex")), bytes);
			}),
		);
		fc.assert(
			fc.property(fc.string({ unit: fc.constantFrom(..."AQgw+/=_- \n"), maxLength: 12 }), (text) => {
				const bytes = bytesFromBase64(text);
				if (bytes !== undefined) assert.equal(toBase64(bytes), text);
			}),
			{ numRuns: 1000 },
		);
	});

	it("reads the window of a view, not its whole buffer", () => {
		const whole = utf8("xxfooxx");
		assert.equal(toBase64(whole.subarray(2, 5)), "Zm9v");
	});

	it("joins and compares", () => {
		assert.deepEqual(concatBytes(utf8("a"), utf8(""), utf8("bc")), utf8("abc"));
		assert.equal(equalBytes(utf8("a"), utf8("a")), true);
		assert.equal(equalBytes(utf8("a"), utf8("ab")), false);
	});
});
