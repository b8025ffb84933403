import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Digest, digestOf } from "../../core/index.ts";
import type { TreeChange } from "../../evidence/schema.ts";
import { compareTrees, scanTree, type TreeSnapshot } from "../../host/index.ts";
import type { ConductParts } from "./parts.ts";

/** Paths listed in a receipt; more are counted. The digests before and after cover them all. */
const MAX_LISTED = 10_000;

export interface WorkspaceChanges {
	readonly after: Digest | null;
	readonly paths: TreeChange[];
	readonly omitted: number;
}

export function scanWorkspace(
	source: string,
	{ directories }: Pick<ConductParts, "directories">,
): Promise<TreeSnapshot> {
	const cache = join(directories.cache, "trees");
	mkdirSync(cache, { recursive: true, mode: 0o700 });
	return scanTree(source, { cacheFile: join(cache, digestOf(source).slice("sha256:".length)) });
}

export function changesBetween(before: TreeSnapshot | null, after: TreeSnapshot | null): WorkspaceChanges {
	if (before === null || after === null) return { after: null, paths: [], omitted: 0 };
	const all = compareTrees(before, after);
	return { after: after.digest, paths: all.slice(0, MAX_LISTED), omitted: Math.max(0, all.length - MAX_LISTED) };
}
