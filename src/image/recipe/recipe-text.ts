import type { z } from "zod";
import { type RecipeFile, recipeFileSchema } from "./schema.ts";

export type RecipeReading =
	| { readonly kind: "recipe"; readonly recipe: RecipeFile }
	| { readonly kind: "invalid"; readonly problems: readonly string[] };

const MAX_CHARACTERS = 262_144;
const MAX_PROBLEMS = 50;

/** A recipe file from its text. Every problem is listed. An empty text is a recipe that says nothing, and so a good one. */
export async function readRecipeText(text: string): Promise<RecipeReading> {
	if (text.length > MAX_CHARACTERS) return invalid([`It has over ${MAX_CHARACTERS} characters.`]);
	const { LineCounter, parseDocument } = await import("yaml");
	const lineCounter = new LineCounter();
	const placed = (offset: number) => `Line ${lineCounter.linePos(offset).line}`;
	try {
		const document = parseDocument(text, { lineCounter, version: "1.2", schema: "core", prettyErrors: false });
		const broken = [...document.errors, ...document.warnings];
		if (broken.length > 0) {
			return invalid(broken.map(({ message, pos }) => `${placed(pos[0])}: ${message.replace(/[.:]?\s*$/, "")}.`));
		}
		const value: unknown = document.toJS({ maxAliasCount: 0 });
		return checkRecipe(value ?? {});
	} catch (error) {
		if (error instanceof RangeError) return invalid(["It is nested too deeply."]);
		if (error instanceof ReferenceError) return invalid(["It uses aliases (*name). Write the values out."]);
		throw error;
	}
}

/** The same for a value, such as that of flags. */
export function checkRecipe(value: unknown): RecipeReading {
	if (typeof value !== "object" || value === null || Array.isArray(value)) {
		return invalid(["It must be a list of keys and values, such as `source: .`."]);
	}
	const parsed = recipeFileSchema.safeParse(value);
	return parsed.success ? { kind: "recipe", recipe: parsed.data } : invalid(parsed.error.issues.flatMap(sentencesOf));
}

function invalid(problems: readonly string[]): RecipeReading {
	return { kind: "invalid", problems: problems.slice(0, MAX_PROBLEMS) };
}

function sentencesOf(issue: z.core.$ZodIssue): readonly string[] {
	const path = issue.path.map(String).join(".");
	const where = path === "" ? "The recipe" : path;
	switch (issue.code) {
		case "unrecognized_keys":
			return issue.keys.map((key) => `${path === "" ? "" : `${path}.`}${key} is no key of a recipe.`);
		case "invalid_value":
			return [`${where} must be ${issue.values.map((value) => String(value)).join(", ")}.`];
		case "invalid_type":
			return [`${where} must be ${article(issue.expected)}.`];
		case "invalid_key":
			return issue.issues.map(({ message }) => `The key ${where} ${message}.`);
		default:
			return [`${where} ${/^must /.test(issue.message) ? issue.message : `does not fit: ${issue.message}`}.`];
	}
}

function article(type: string): string {
	const known: Readonly<Record<string, string>> = {
		object: "a list of keys and values",
		record: "a list of keys and values",
		array: "a list",
		int: "a whole number",
		string: "text",
		number: "a number",
	};
	return known[type] ?? `of the type ${type}`;
}
