import type { KnownEntries, WorkspaceBaseline } from "./baseline.ts";
import type { AppliedChanges } from "./changes-application.ts";
import type { ChangeRecord } from "./changes-record.ts";

/**
 * A list of changes that removes all of a workspace and puts nothing in its place is hardly ever what somebody wanted, and
 * what it does can't be undone: it is not followed. Where the workspace held a single entry it is, for that is a common
 * thing to do. Null when there is no such refusal. It guards against accidents; a guest that means harm could empty each file.
 */
export function wipeOf(
	records: readonly ChangeRecord[],
	workspace: { readonly baseline: WorkspaceBaseline | null; readonly protected: ReadonlySet<string> },
): AppliedChanges | null {
	const { baseline } = workspace;
	if (baseline === null || !holdsSeveral(baseline.entries)) return null;
	if (records.some(({ kind }) => kind !== "removed" && kind !== "skipped")) return null;
	const removed = new Set(records.filter(({ kind }) => kind === "removed").map(({ name }) => name));
	const left = [...baseline.entries.keys()].filter((name) => !workspace.protected.has(name) && !removed.has(name));
	if (removed.size === 0 || left.length > 0) return null;
	return {
		files: 0,
		folders: 0,
		links: 0,
		removed: 0,
		bytes: 0,
		refused: [{ path: ".", reason: "removes-everything", keptAs: null }],
		refusedCount: removed.size,
		skipped: [],
		skippedCount: 0,
	};
}

function holdsSeveral(entries: KnownEntries): boolean {
	if (entries.size !== 1) return entries.size > 1;
	return [...entries.values()].some((entry) => entry.entries !== null && entry.entries.size > 0);
}
