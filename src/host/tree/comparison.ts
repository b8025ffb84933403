import type { TreeChange } from "../../evidence/schema.ts";
import { flagsOf } from "./change-flags.ts";
import { rawOfPath } from "./path-text.ts";
import type { TreeEntry, TreeSnapshot } from "./snapshot.ts";

/**
 * What differs between two snapshots of one folder, in byte order of the paths; the root itself has path `""`.
 * A folder counts as changed by its own mode or type, not by what is in it. All of it is listed: the caller bounds it.
 */
export function compareTrees(before: TreeSnapshot, after: TreeSnapshot): TreeChange[] {
	if (before.digest === after.digest && before.problems.length === 0 && after.problems.length === 0) return [];
	const changes: { raw: string; change: TreeChange }[] = [];
	const add = (path: string, change: TreeChange["change"]) => {
		const flags = flagsOf({ path, change, before, after });
		changes.push({ raw: rawOfPath(path), change: { path, change, flags } });
	};
	for (const [path, entry] of after.entries) {
		const former = before.entries.get(path);
		const change = former === undefined ? "added" : differenceOf(former, entry);
		if (change !== undefined) add(path, change);
	}
	for (const path of before.entries.keys()) {
		if (!after.entries.has(path)) add(path, "removed");
	}
	return changes.sort((a, b) => (a.raw < b.raw ? -1 : 1)).map(({ change }) => change);
}

function differenceOf(before: TreeEntry, after: TreeEntry): TreeChange["change"] | undefined {
	if (before.type !== after.type) return "type";
	const sameContent = before.type === "directory" || before.payload === after.payload;
	if (!sameContent || before.size !== after.size || before.read !== after.read) return "modified";
	return before.mode === after.mode ? undefined : "mode";
}
