import type { z } from "zod";

/**
 * What is wrong with a value, as words that follow its name: `limit: must be at least 1`. Of issues whose schema has words of its own
 * those are used, and this is never asked.
 */
export function formWords(issue: z.core.$ZodRawIssue): string | undefined {
	if (issue.input === undefined && (issue.code === "invalid_type" || issue.code === "invalid_value"))
		return "is missing";
	switch (issue.code) {
		case "invalid_type":
			return `must be ${KINDS[issue.expected] ?? `of the type ${issue.expected}`}`;
		case "invalid_value":
			return `must be ${issue.values.length === 1 ? "" : "one of "}${issue.values.map(String).join(", ")}`;
		case "unrecognized_keys":
			return `has no member ${issue.keys.join(", ")}`;
		case "too_small":
			return issue.minimum === 1 && issue.origin in COUNTED
				? "must not be empty"
				: `must be at least ${issue.minimum}${COUNTED[issue.origin] ?? ""}`;
		case "too_big":
			return `must be at most ${issue.maximum}${COUNTED[issue.origin] ?? ""}`;
		case "invalid_format":
			return FORMATS[issue.format];
		default:
			return undefined;
	}
}

const KINDS: Readonly<Record<string, string>> = {
	array: "a list",
	boolean: "true or false",
	int: "a whole number",
	number: "a number",
	object: "an object",
	record: "an object",
	string: "text",
};
const COUNTED: Readonly<Record<string, string>> = {
	array: " items",
	set: " items",
	string: " characters long",
};
const FORMATS: Readonly<Record<string, string>> = {
	datetime: "must be a time such as 2026-11-21T09:00:00Z",
	email: "must be an email address",
	url: "must be a URL",
	uuid: "must be a UUID",
};
