import { type BigIntStats, closeSync } from "node:fs";
import { namesIn, openFolderBelow, statBelow } from "./open-folder.ts";

/** What a workspace's disk was made from: an entry that looks different afterwards was changed on the host meanwhile. */
export interface WorkspaceBaseline {
	/** Device and inode of the workspace itself. */
	readonly identity: string;
	readonly entries: KnownEntries;
}

export type KnownEntries = ReadonlyMap<string, KnownEntry>;

export interface KnownEntry {
	readonly state: string;
	/** Null for what is not a folder. */
	readonly entries: KnownEntries | null;
}

/**
 * Not by ctime: bringing back one name of a hard-linked file would change it for the others. A folder is the same as long
 * as it is one: its entries are judged by themselves.
 */
export function stateOf(stats: BigIntStats): string {
	if (stats.isDirectory()) return "folder";
	return `${stats.mode & 0o170000n}:${stats.ino}:${stats.size}:${stats.mtimeNs}`;
}

export type Judgement = "unchanged" | "changed" | "mount-point" | "too-deep";

/** Folders inside folders that are looked into: each keeps a descriptor open. */
export const MAX_DEPTH = 256;

export interface JudgedEntry {
	readonly folderFd: number;
	readonly name: string;
	readonly depth: number;
	/** Null: there is no baseline, and nothing counts as changed. Undefined: it has one, without this entry. */
	readonly known: KnownEntry | undefined | null;
}

/** Whether an entry and all below it is what the guest was shown, and lies on one file system: then it may go. */
export async function judgeTree(entry: JudgedEntry, pace: () => Promise<void>): Promise<Judgement> {
	await pace();
	const { folderFd, name, depth, known } = entry;
	const stats = statBelow(folderFd, name);
	if (stats === undefined) return "unchanged";
	if (known === undefined || (known !== null && known.state !== stateOf(stats))) return "changed";
	if (!stats.isDirectory()) return "unchanged";
	if (depth >= MAX_DEPTH) return "too-deep";
	const fd = openFolderBelow(folderFd, name);
	try {
		if (stats.dev !== statBelow(folderFd, ".")?.dev) return "mount-point";
		for (const inner of namesIn(fd)) {
			const knownInner = known === null ? null : known.entries?.get(inner);
			const judged = await judgeTree({ folderFd: fd, name: inner, depth: depth + 1, known: knownInner }, pace);
			if (judged !== "unchanged") return judged;
		}
		return "unchanged";
	} finally {
		closeSync(fd);
	}
}
