/** Levels of nesting in a body; everything behind this may then recurse. */
const MAX_DEPTH = 64;

/** Why a value can't be kept, and where in it. */
export interface Unstorable {
	readonly at: string;
	readonly problem: string;
}

/** Text that no database and no canonical JSON takes: NUL, and halves of surrogate pairs. */
function isOdd(text: string): boolean {
	return text.includes("\0") || !text.isWellFormed();
}

/** The first thing in a value of JSON that can't be kept, or undefined. */
export function findUnstorable(value: unknown, at = "", depth = 0): Unstorable | undefined {
	if (typeof value === "string") return isOdd(value) ? { at, problem: "it has a NUL or half a character" } : undefined;
	if (typeof value !== "object" || value === null) return undefined;
	if (depth >= MAX_DEPTH) return { at: at.slice(0, 80), problem: `it is nested deeper than ${MAX_DEPTH} levels` };
	for (const [name, member] of Object.entries(value)) {
		if (isOdd(name)) return { at, problem: "the name of a member has a NUL or half a character" };
		const found = findUnstorable(member, at === "" ? name : `${at}.${name}`, depth + 1);
		if (found !== undefined) return found;
	}
	return undefined;
}

function isTooDeep(value: unknown, depth = 0): boolean {
	if (typeof value !== "object" || value === null) return false;
	return depth >= MAX_DEPTH || Object.values(value).some((member) => isTooDeep(member, depth + 1));
}

/** The same value with odd characters replaced by U+FFFD: a node's report is not lost for one of them. Its depth was checked. */
export function withoutOddText(value: unknown): unknown {
	if (typeof value === "string") return isOdd(value) ? value.toWellFormed().replaceAll("\0", "\uFFFD") : value;
	if (typeof value !== "object" || value === null) return value;
	if (Array.isArray(value)) return value.map(withoutOddText);
	const members = Object.entries(value).map(([name, member]) => [withoutOddText(name), withoutOddText(member)]);
	return Object.fromEntries(members);
}

/** What was given, fit to be kept; `replaced` is for what nodes report. */
export function storable(given: unknown, odd: "refused" | "replaced"): { readonly value: unknown } | Unstorable {
	const problem = findUnstorable(given);
	if (problem === undefined) return { value: given };
	if (odd === "refused" || isTooDeep(given)) return problem;
	return { value: withoutOddText(given) };
}
