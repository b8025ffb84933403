import { type Dirent, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LOCK_FILE } from "../recipe/recipe.ts";

interface Rule {
	readonly pattern: RegExp;
	readonly effect: "leave-out" | "take";
}

/** What BuildKit reads, best first. */
const files = (dockerfile: string): readonly string[] => [
	`${dockerfile}.dockerignore`,
	".containerignore",
	".dockerignore",
];

/**
 * Paths of a context that its .dockerignore leaves out, each without what is below it. The last rule that fits a path or a
 * folder above it decides, as moby's patternmatcher has it. Without a Dockerfile the folder is a named context: nothing is.
 */
export function ignoredPaths(folder: string, dockerfile: string | null): readonly string[] {
	const rules = rulesOf(
		(dockerfile === null ? [] : files(dockerfile))
			.map((name) => textOf(join(folder, name)))
			.find((text) => text !== undefined),
	);
	const found = [LOCK_FILE];
	const exceptions = rules.some(({ effect }) => effect === "take");
	/** Whether anything in a folder stays; a folder of which nothing does is left out whole. */
	const walk = (path: string): boolean => {
		let stays = false;
		const before = found.length;
		for (const entry of entriesOf(join(folder, path))) {
			const at = path === "" ? entry.name : `${path}/${entry.name}`;
			// The builder reads it itself, whatever is left out of the context.
			const out = at !== dockerfile && isLeftOut(at, rules);
			if (out && !(exceptions && entry.isDirectory())) found.push(at);
			else if (!entry.isDirectory()) stays = true;
			else if (walk(at) || !out) stays = true;
			else found.push(at);
		}
		// Those below go with the folder itself, which its parent leaves out.
		if (!stays && path !== "" && isLeftOut(path, rules)) found.length = before;
		return stays;
	};
	if (rules.length > 0) walk("");
	return found;
}

/** Exported for its test. */
export function rulesOf(text: string | undefined): readonly Rule[] {
	const lines = (text ?? "").replace(/^\uFEFF/, "").split("\n");
	return lines.flatMap((line): readonly Rule[] => {
		if (line.startsWith("#")) return [];
		const trimmed = line.trim();
		const effect = trimmed.startsWith("!") ? "take" : "leave-out";
		const pattern = (effect === "take" ? trimmed.slice(1).trim() : trimmed)
			.replace(/^\/+|\/+$/g, "")
			.replace(/\/+/g, "/");
		return pattern === "" || pattern === "." ? [] : [{ pattern: expressionOf(pattern.replace(/^\.\//, "")), effect }];
	});
}

export function isLeftOut(path: string, rules: readonly Rule[]): boolean {
	let out = false;
	for (const { pattern, effect } of rules) if (pattern.test(path)) out = effect === "leave-out";
	return out;
}

/** Go's filepath.Match with `**`; what is below a match matches too. */
function expressionOf(pattern: string): RegExp {
	let text = "";
	for (let at = 0; at < pattern.length; at += 1) {
		const character = pattern.charAt(at);
		if (pattern.startsWith("**", at)) {
			const slash = pattern.charAt(at + 2) === "/";
			text += slash ? "(?:.*/)?" : ".*";
			at += slash ? 2 : 1;
		} else if (character === "*") text += "[^/]*";
		else if (character === "?") text += "[^/]";
		else if (character === "[" && pattern.indexOf("]", at + 2) > 0) {
			const end = pattern.indexOf("]", at + 2);
			text += `[${pattern.slice(at + 1, end).replace(/[\\[]/g, "\\$&")}]`;
			at = end;
		} else if (character === "\\" && at + 1 < pattern.length) {
			at += 1;
			text += escaped(pattern.charAt(at));
		} else text += escaped(character);
	}
	try {
		return new RegExp(`^${text}(?:/.*)?$`, "s");
	} catch {
		return new RegExp(`^${escaped(pattern)}(?:/.*)?$`, "s");
	}
}

function escaped(text: string): string {
	return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/** None of a folder that can't be read: the scan says so of it. */
function entriesOf(path: string): readonly Dirent[] {
	try {
		return readdirSync(path, { withFileTypes: true });
	} catch {
		return [];
	}
}

function textOf(path: string): string | undefined {
	try {
		return readFileSync(path, "utf8");
	} catch {
		return undefined;
	}
}
