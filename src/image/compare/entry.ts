import type { Digest } from "../../core/index.ts";

/** One name of a packed root file system, with everything that a workload could tell apart. */
export interface TreeEntry {
	readonly kind: EntryKind;
	/** Permission bits with setuid, setgid and sticky. */
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
	readonly sizeBytes: number;
	/** Of a file; null for the rest. */
	readonly contentDigest: Digest | null;
	/** Of a symlink, raw. */
	readonly target: string | null;
	/** `major:minor`. */
	readonly device: string | null;
	/** Values in hexadecimal; null where the format's reader does not tell. */
	readonly xattrs: Readonly<Record<string, string>> | null;
}

export type EntryKind = "file" | "directory" | "symlink" | "character-device" | "block-device" | "fifo" | "socket";

/** By raw path (one character for each byte) without a leading slash; the root is the empty path. */
export type TreeListing = ReadonlyMap<string, TreeEntry>;

/** A disk that its own format's rules don't allow. The message ends a sentence. */
export class UnreadableDisk extends Error {}

export interface ListingOptions {
	readonly signal?: AbortSignal | undefined;
}

/** Far above what any image has; a disk from elsewhere may say anything. */
export const MAX_ENTRIES = 4_000_000;
export const MAX_DEPTH = 1000;
