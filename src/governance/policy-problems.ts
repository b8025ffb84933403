import { z } from "zod";
import type { Failure } from "../core/index.ts";
import { failure } from "./failures.ts";
import { type KeyPath, type Places, textOfPath } from "./places.ts";
import { policyDocumentSchema } from "./schema.ts";
import { nearestWord } from "./spelling.ts";

/** One zod issue as sentences for whoever wrote the policy. */
export function explainIssue(issue: z.core.$ZodIssue, source: string, places: Places): Failure[] {
	const path: KeyPath = issue.path;
	if (issue.code === "unrecognized_keys") {
		const known = keysAt(path);
		const place = path.length === 0 ? "" : ` in \`${textOfPath(path)}\``;
		return issue.keys.map((key) => {
			const details = { source, key, place, suggestion: suggestionFor(key, known), ...places.ofKey(path, key) };
			return failure("policy-unknown-key", details);
		});
	}
	const key = path.length === 0 ? "the document" : textOfPath(path);
	const position = issue.input === undefined ? placeOfMissing(places, path) : places.of(path);
	return [failure("policy-wrong-value", { source, key, ...position, problem: problemOf(issue) })];
}

function placeOfMissing(places: Places, path: KeyPath): { line: string; column: string } {
	return places.of(path.slice(0, -1));
}

function suggestionFor(key: string, known: readonly string[]): string {
	const nearest = nearestWord(key, known);
	return nearest === undefined ? `Known here: ${known.join(", ")}.` : `Did you mean \`${nearest}\`?`;
}

function problemOf(issue: z.core.$ZodIssue): string {
	const { input } = issue;
	if (input === undefined)
		return issue.path.length === 1 && issue.path[0] === "version" ? "add `version: 1`." : "it is missing.";
	if (input === null) return "it is empty. Write [] for nothing of it, or remove the key to say nothing about it.";
	if (issue.code === "invalid_value") {
		const values = issue.values.map(String);
		const nearest = typeof input === "string" ? nearestWord(input, values) : undefined;
		const hint = nearest === undefined ? "" : ` Did you mean ${nearest}?`;
		return `${show(input)} is not one of ${values.join(", ")}.${hint}`;
	}
	if (issue.code === "invalid_type" && issue.expected === "array")
		return `it is ${kindOf(input)}. Write a list: [${show(input)}].`;
	if (typeof input === "object" && !Array.isArray(input)) {
		return "it is a map. A colon followed by a blank makes one: write host:port without a blank, or use quotes.";
	}
	return `${show(input)} does not fit: ${issue.message.replace(/\.$/, "")}.`;
}

function kindOf(value: unknown): string {
	if (Array.isArray(value)) return "a list";
	return value !== null && typeof value === "object" ? "a map" : `a ${typeof value}`;
}

function show(value: unknown): string {
	if (value !== null && typeof value === "object") return "…";
	return typeof value === "string" ? value.slice(0, 100) : String(value);
}

/** Keys that the schema knows at a path: the schema is the only list of them. */
function keysAt(path: KeyPath): string[] {
	let schema: unknown = policyDocumentSchema;
	for (const part of path) {
		const { shape } = bare(schema) as { shape?: Record<string, unknown> };
		schema = shape?.[String(part)];
	}
	const object = bare(schema);
	return object instanceof z.ZodObject ? Object.keys(object.shape) : [];
}

function bare(schema: unknown): unknown {
	return schema instanceof z.ZodOptional ? bare(schema.unwrap()) : schema;
}
