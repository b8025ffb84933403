import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The repository as its tests read it. Works without git: what `.gitignore` leaves out is left out here. */
export const root = dirname(dirname(import.meta.dirname));

const IGNORED = new Set([".git", "node_modules", "dist", "build"]);

function* walk(directory: string): Generator<string> {
	for (const entry of readdirSync(join(root, directory), { withFileTypes: true })) {
		const path = directory === "" ? entry.name : `${directory}/${entry.name}`;
		if (IGNORED.has(entry.name) || entry.name.endsWith(".tgz")) continue;
		if (entry.isDirectory()) yield* walk(path);
		else if (entry.isFile()) yield path;
	}
}

/** Paths of all files that belong to the project, relative to its root, sorted. */
export const files: readonly string[] = [...walk("")].sort();
export const code: readonly string[] = files.filter((path) => /\.(?:ts|js|c|h)$/.test(path));
export const typescript: readonly string[] = files.filter((path) => path.endsWith(".ts"));
/** What ships: no tests, no bench. */
export const source: readonly string[] = typescript.filter((path) => path.startsWith("src/") && !isTest(path));

export function isTest(path: string): boolean {
	return path.endsWith(".test.ts") || path.startsWith("test/");
}

const texts = new Map<string, string>();

export function textOf(path: string): string {
	const known = texts.get(path) ?? readFileSync(join(root, path), "utf8");
	texts.set(path, known);
	return known;
}

export function linesOf(path: string): readonly string[] {
	return textOf(path).replace(/\n$/, "").split("\n");
}

/** TypeScript with comments and the insides of its strings blanked, so that patterns see code alone. Lines keep their numbers. */
export function codeOnly(path: string): string {
	const blank = (part: string) => part.replace(/[^\n]/g, " ");
	// One pass, longest token first: a quote in a comment and a `//` in a string are both no start of anything.
	return textOf(path).replace(
		/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`/g,
		(token) => (/^["'`]/.test(token) ? token[0] + blank(token.slice(1, -1)) + token[0] : blank(token)),
	);
}

/** `path:line: text` of every line of code that a pattern matches. */
export function findLines(paths: readonly string[], pattern: RegExp, read = textOf): readonly string[] {
	return paths.flatMap((path) => {
		const shown = linesOf(path);
		return read(path)
			.split("\n")
			.flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${shown[index]?.trim() ?? ""}`] : []));
	});
}
