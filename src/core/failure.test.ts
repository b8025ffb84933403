import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defineFailures, VouchError } from "./failure.ts";

const { failure, fail } = defineFailures({
	"cup-empty": { audience: "caller", retry: "never", status: 409, sentence: "Pouring {what} into {cup}: it is empty." },
});

describe("failures", () => {
	it("put details into the sentence once, and name the ones that are missing", () => {
		assert.deepEqual(failure("cup-empty", { what: "{cup}" }), {
			code: "cup-empty",
			sentence: "Pouring {cup} into (cup unknown): it is empty.",
			details: { what: "{cup}" },
		});
	});

	it("throw as an error that carries row and cause", () => {
		const cause = new Error("why");
		const error = fail("cup-empty", { what: "tea", cup: "mug" }, cause);
		assert.ok(error instanceof VouchError);
		assert.equal(error.message, "Pouring tea into mug: it is empty.");
		assert.equal(error.row.status, 409);
		assert.equal(error.cause, cause);
	});

	it("refuse a code that has no row", () => {
		assert.throws(() => failure("cup-full" as "cup-empty"), TypeError);
	});
});
