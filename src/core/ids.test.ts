import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { newId, type RunId, runIdSchema } from "./ids.ts";

describe("ids", () => {
	it("are UUIDv7 that carry their millisecond (RFC 9562 section 5.7)", () => {
		fc.assert(
			fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (nowMs) => {
				const id = newId<RunId>(nowMs);
				assert.equal(runIdSchema.parse(id), id);
				assert.equal(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16), nowMs);
			}),
		);
	});

	it("sort by the millisecond they were made in", () => {
		fc.assert(
			fc.property(fc.integer({ min: 0, max: 2 ** 48 - 2 }), fc.integer({ min: 1, max: 1000 }), (nowMs, laterMs) => {
				const then = Math.min(nowMs + laterMs, 2 ** 48 - 1);
				assert.ok(newId(nowMs) < newId(then));
			}),
		);
	});

	it("differ within one millisecond, and refuse a time that does not fit", () => {
		assert.equal(new Set(Array.from({ length: 2000 }, () => newId(1))).size, 2000);
		assert.throws(() => newId(2 ** 48), RangeError);
		assert.throws(() => newId(-1), RangeError);
	});

	it("have one spelling", () => {
		const id = newId(1_700_000_000_000);
		for (const text of [id.toUpperCase(), `${id} `, id.replaceAll("-", ""), `${id.slice(0, 14)}4${id.slice(15)}`]) {
			assert.equal(runIdSchema.safeParse(text).success, false, text);
		}
	});
});
