import { defineFailures, type FailureRow } from "../core/index.ts";

const INVALID = { audience: "caller", retry: "never", status: 422 } as const satisfies Omit<FailureRow, "sentence">;

/** Every way in which a policy's text is wrong. A policy with any of them refuses every run: a typo must not allow. */
export const { table: governanceFailures, failure } = defineFailures({
	"policy-empty": {
		...INVALID,
		sentence:
			"The policy {source} says nothing. Write `version: 1` and the rules you want, or remove the file to use the built-in policy.",
	},
	"policy-too-large": {
		...INVALID,
		sentence: "The policy {source} is larger than {limit} characters. Shorten it.",
	},
	"policy-syntax": {
		...INVALID,
		sentence: "The policy {source} is not valid YAML at line {line}, column {column}: {problem}",
	},
	"policy-unknown-key": {
		...INVALID,
		sentence: "The policy {source} has an unknown key `{key}` at line {line}, column {column}{place}. {suggestion}",
	},
	"policy-wrong-value": {
		...INVALID,
		sentence: "The policy {source} has a wrong value for `{key}` at line {line}, column {column}: {problem}",
	},
});
