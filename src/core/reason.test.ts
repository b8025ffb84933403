import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { z } from "zod";
import { formWords } from "./form-words.ts";
import { reasonOf } from "./reason.ts";

test("errors of the system are said by what they mean, others by their first line", () => {
	for (const [path, words] of [
		["/nowhere/at/all", "there is nothing at that path"],
		["/", "it is a folder"],
		["/dev/null/x", "what stands for a folder in it is none"],
	] as const) {
		assert.throws(
			() => readFileSync(path),
			(error) => reasonOf(error) === words,
		);
	}
	assert.equal(reasonOf(new Error("first\nsecond")), "first");
	assert.equal(reasonOf("thrown"), "thrown");
});

test("what is wrong with a value is said in words that follow its name", () => {
	const schema = z.strictObject({
		name: z.string().min(1).max(3),
		limit: z.int().min(1).max(500),
		role: z.enum(["owner", "member"]),
		since: z.iso.datetime(),
		list: z.array(z.string()).max(1),
		own: z.string().regex(/^x/, "must begin with x"),
	});
	const wrong: unknown = {
		name: "",
		limit: 501,
		role: undefined,
		since: "yesterday",
		list: ["a", "b"],
		own: "y",
		odd: 1,
	};
	const { error } = schema.safeParse(wrong, { error: formWords });
	assert.deepEqual(
		error?.issues.map(({ path, message }) => `${path.join(".")} ${message}`),
		[
			"name must not be empty",
			"limit must be at most 500",
			"role is missing",
			"since must be a time such as 2026-11-21T09:00:00Z",
			"list must be at most 1 items",
			"own must begin with x",
			" has no member odd",
		],
	);
});
