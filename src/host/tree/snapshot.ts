import { createHash } from "node:crypto";
import type { Digest } from "../../core/index.ts";
import { printablePath } from "./path-text.ts";

/**
 * The content digest of a folder, form `vouch-tree/v1`. Byte for byte (also in docs/reference/workspace-digest.md):
 *
 *     tree    = SHA-256( "vouch-tree/v1\n" record(root, name "") )
 *     record  = type SP mode SP payload SP size-of-name ":" name LF
 *     payload = hexadecimal SHA-256 of: a file's bytes, a link's target, "major:minor" of a device, nothing for a pipe
 *               or socket, a folder's records one after the other in ascending byte order of their names
 *
 * `type` is one letter of TYPE_LETTERS, in upper case when the content could not be read (payload: SHA-256 of nothing).
 * `mode` is `mode & 07777` in four octal digits. Names are bytes. Owners, times, link counts, extended attributes and
 * holes are not part of it.
 */
export interface TreeSnapshot {
	readonly digest: Digest;
	/** Absolute path that was scanned, symbolic links resolved. */
	readonly root: string;
	/** Everything below the root by its printable path without leading `/` (see path-text.ts); the root itself is `""`. */
	readonly entries: ReadonlyMap<string, TreeEntry>;
	/** What the digest does not fully cover, each with its reason: never silent, never fatal. */
	readonly problems: readonly TreeProblem[];
	/** Where git would look for hooks and settings, besides the usual places, as of this snapshot. */
	readonly git: { readonly hookFolders: readonly string[]; readonly settingFiles: readonly string[] };
	/** Files whose bytes were read, and files whose digest the cache knew. */
	readonly counts: { readonly hashed: number; readonly cached: number; readonly bytes: number };
}

export const TYPE_LETTERS = {
	file: "f",
	directory: "d",
	symlink: "l",
	fifo: "p",
	socket: "s",
	"character-device": "c",
	"block-device": "b",
	unknown: "u",
} as const;
export type EntryType = keyof typeof TYPE_LETTERS;

export interface TreeEntry {
	readonly type: EntryType;
	/** Permission, setuid, setgid and sticky bits: `mode & 07777`. */
	readonly mode: number;
	/** Bytes; 0 for what is not a file. */
	readonly size: number;
	/** Hexadecimal SHA-256 of the payload above; for a folder it covers everything below it. */
	readonly payload: string;
	/** Printable form of a symbolic link's target; null for what is not one. */
	readonly target: string | null;
	/** False when the content could not be read. */
	readonly read: boolean;
}

export interface TreeProblem {
	readonly path: string;
	readonly reason:
		| "permission"
		| "changed-while-read"
		| "vanished"
		| "too-deep"
		| "too-many"
		| "too-large"
		| "io-error";
}

/** One thing found by a walk; `payload` is filled in when its content is known. */
export interface TreeNode {
	/** One character per byte. */
	readonly name: string;
	type: EntryType;
	mode: number;
	size: number;
	payload: string;
	target: string | null;
	read: boolean;
	/** In byte order of their names; empty for what is not a folder. */
	readonly children: TreeNode[];
}

export const EMPTY_PAYLOAD = createHash("sha256").digest("hex");

/** @param target one character per byte */
export function linkPayload(target: string): string {
	return createHash("sha256").update(target, "latin1").digest("hex");
}

/** @param rdev as stat(2) gives it; split as gnu_dev_major(3) and gnu_dev_minor(3) do */
export function devicePayload(rdev: bigint): string {
	const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
	const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
	return createHash("sha256").update(`${major}:${minor}`).digest("hex");
}

/** Digests from the leaves to the root, and the entries by path. Deep trees are bounded by the walk's limit. */
export function foldTree(root: TreeNode): { digest: Digest; entries: Map<string, TreeEntry> } {
	const entries = new Map<string, TreeEntry>();
	foldNode(root, "", entries);
	const hash = createHash("sha256").update("vouch-tree/v1\n").update(recordOf(root), "latin1");
	return { digest: `sha256:${hash.digest("hex")}` as Digest, entries };
}

function foldNode(node: TreeNode, path: string, entries: Map<string, TreeEntry>): void {
	for (const child of node.children) foldNode(child, path === "" ? child.name : `${path}/${child.name}`, entries);
	if (node.type === "directory" && node.read) {
		const listing = node.children.map(recordOf).join("");
		node.payload = createHash("sha256").update(listing, "latin1").digest("hex");
	}
	const { type, mode, size, payload, target, read } = node;
	entries.set(printablePath(path), { type, mode, size, payload, target, read });
}

function recordOf(node: TreeNode): string {
	const letter = TYPE_LETTERS[node.type];
	const mode = node.mode.toString(8).padStart(4, "0");
	return `${node.read ? letter : letter.toUpperCase()} ${mode} ${node.payload} ${node.name.length}:${node.name}\n`;
}
