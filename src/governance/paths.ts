/**
 * Path prefixes of conduits section 6.3. Paths are those the command sees: the workspace is `/workspace`, everything else
 * lies where the machine has it. There are no patterns: a prefix covers itself and all below it.
 */

/** `workspace:**`, `workspace:/src`, `host:/opt` and plain paths in one spelling: absolute, no `.`, `..` or final slash. */
export function normalizePath(written: string): string {
	const spelled = written.replace(/:\*\*$/, "");
	// The reference leaves `workspace:/src` and `host:/opt` as folders of those names; these are the compat-safe readings.
	const workspace = /^workspace(?::(.*))?$/s.exec(spelled);
	const host = /^host:(\/.*)$/s.exec(spelled);
	const absolute = workspace !== null ? `/workspace/${inWorkspace(workspace[1])}` : (host?.[1] ?? spelled);
	const parts: string[] = [];
	for (const part of absolute.split("/")) {
		if (part === "..") parts.pop();
		else if (part !== "" && part !== ".") parts.push(part);
	}
	return `/${parts.join("/")}`;
}

/** `workspace:/../etc` must not climb out of the workspace it names. */
function inWorkspace(rest: string | undefined): string {
	return rest === undefined ? "" : normalizePath(rest).slice(1);
}

/** Whether a path is one of the prefixes or below one. No prefix covers nothing. */
export function isCovered(target: string, prefixes: readonly string[]): boolean {
	const path = normalizePath(target);
	return prefixes
		.map(normalizePath)
		.some((prefix) => prefix === "/" || path === prefix || path.startsWith(`${prefix}/`));
}

/** Whether one is the other or below it: they share files. */
export function pathsOverlap(left: string, right: string): boolean {
	return isCovered(left, [right]) || isCovered(right, [left]);
}

/** What both lists cover, in the narrower one's spelling. Either side empty means nothing. */
export function intersectPaths(left: readonly string[], right: readonly string[]): string[] {
	const kept = new Map<string, string>();
	for (const a of left) {
		for (const b of right) {
			const narrower = isCovered(a, [b]) ? a : isCovered(b, [a]) ? b : undefined;
			if (narrower !== undefined && !kept.has(normalizePath(narrower))) kept.set(normalizePath(narrower), narrower);
		}
	}
	return [...kept.values()];
}

/** The `fs` dimension of a policy or a capability; a list that is not there is an empty one. */
export interface FsRules {
	readonly read?: readonly string[] | undefined;
	readonly write?: readonly string[] | undefined;
}

export function intersectFs(left: FsRules, right: FsRules): { read: string[]; write: string[] } {
	return {
		read: intersectPaths(left.read ?? [], right.read ?? []),
		write: intersectPaths(left.write ?? [], right.write ?? []),
	};
}

/** Whether a policy covers all that is requested, and one sentence for each path that it does not. */
export function evaluateFs(requested: FsRules, policy: FsRules): { allowed: boolean; violations: string[] } {
	const violations = (["read", "write"] as const).flatMap((access) =>
		(requested[access] ?? [])
			.filter((path) => !isCovered(path, policy[access] ?? []))
			.map((path) => `${access} access to ${path} is not allowed by the policy`),
	);
	return { allowed: violations.length === 0, violations };
}
