import { posix } from "node:path";
import { z } from "zod";

const CHARACTERS = 1024;
/** Of a pattern's part, stars take the longest to try: three keep every name quick, however hostile. */
const STARS = 3;

/** A file below a workspace as text that names nothing else: no `.` or `..`, nothing that a terminal obeys. */
export const artifactNameSchema = z.string().max(CHARACTERS).refine(isPlainPath, "must be a path below the workspace");

/**
 * Which files of its workspace a run hands over, as in a shell: `*`, `?` and `[a-z]` within a name, `**` for any folders, a `/` at the
 * end for all that lies below. Names that begin with a dot are matched by a dot alone.
 */
export const artifactPatternSchema = z
	.string()
	.max(CHARACTERS)
	.refine(isPattern, "must be a path below the workspace, with *, ?, [] and **; write several for {a,b}");

/** Tells which names patterns mean. */
export function artifactMatcher(patterns: readonly string[]): (name: string) => boolean {
	const partsOfAll = patterns.map(partsOf);
	const known = new Map<string, boolean>();
	/** Folders come again and again. */
	const isNamedBy = (name: string, part: string): boolean => {
		if (!/[*?[]/.test(part)) return name === part;
		const key = `${part}/${name}`;
		const answer = known.get(key) ?? posix.matchesGlob(name, part);
		known.set(key, answer);
		return answer;
	};
	return (path) => {
		const names = path.split("/");
		return partsOfAll.some((parts) => fits(parts, names, isNamedBy));
	};
}

/** Every place in the pattern that the names so far can lead to: nothing is tried twice, so no pattern is slow. */
function fits(
	parts: readonly string[],
	names: readonly string[],
	isNamedBy: (name: string, part: string) => boolean,
): boolean {
	let places: ReadonlySet<number> = new Set([0]);
	for (const name of names) {
		const next = new Set<number>();
		for (const place of places) {
			let at = place;
			for (; parts[at] === "**"; at++) {
				if (name.startsWith(".")) continue;
				next.add(at);
				if (at === parts.length - 1) next.add(parts.length);
			}
			const part = parts[at];
			if (part !== undefined && isNamedBy(name, part)) next.add(at + 1);
		}
		places = next;
	}
	return places.has(parts.length);
}

function partsOf(pattern: string): readonly string[] {
	return pattern.replace(/\/$/, "/**").split("/");
}

function isPlainPath(path: string): boolean {
	return !/[\p{C}\p{Zl}\p{Zp}\\]/u.test(path) && path.split("/").every((name) => !/^\.{0,2}$/.test(name));
}

/** Without what could be read otherwise, or expands: a backslash, braces, `@(a|b)`. */
function isPattern(pattern: string): boolean {
	return (
		isPlainPath(pattern.replace(/\/$/, "")) &&
		!/[{}]|[!?*+@]\(/.test(pattern) &&
		partsOf(pattern).every((part) => part === "**" || part.split("*").length <= STARS + 1)
	);
}
