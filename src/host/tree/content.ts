import { createHash, hash } from "node:crypto";
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { systemPath } from "./path-text.ts";
import { EMPTY_PAYLOAD, type TreeProblem } from "./snapshot.ts";

/** Everything by which the kernel tells one state of a file from another: device, inode, size, mtime, ctime (ns). */
export type FileState = BigUint64Array;
export const STATE_FIELDS = 5;

export interface Content {
	/** Hexadecimal SHA-256. */
	readonly payload: string;
	readonly mode: number;
	readonly size: number;
	/** The state that the payload belongs to; null when there is none to rely on. */
	readonly state: FileState | null;
	readonly problem: TreeProblem["reason"] | null;
}

/** O_NONBLOCK: opening a pipe that replaced the file must not wait for a writer. O_NOFOLLOW: nor may a link lead out. */
export const SAFE_OPEN = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

const CHUNK_BYTES = 1 << 20;
const ATTEMPTS = 3;
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);

/** A name below an open folder, so that no part of the way to it can be exchanged for a link: openat(2) by other means. */
export function beneath(folderFd: number, rawName: string): string | Buffer {
	return systemPath(`/proc/self/fd/${folderFd}/${rawName}`);
}

export function stateOf(stats: BigIntStats, state: FileState = new BigUint64Array(STATE_FIELDS)): FileState {
	state[0] = stats.dev;
	state[1] = stats.ino;
	state[2] = stats.size;
	state[3] = stats.mtimeNs;
	state[4] = stats.ctimeNs;
	return state;
}

/** Hashes one file below an open folder. Reads it again when it changed meanwhile, and says so when it never held still. */
export function readContent(folderFd: number, rawName: string): Content {
	try {
		const fd = openSync(beneath(folderFd, rawName), SAFE_OPEN);
		try {
			return hashOpenFile(fd);
		} finally {
			closeSync(fd);
		}
	} catch (error) {
		return { payload: EMPTY_PAYLOAD, mode: 0, size: 0, state: null, problem: problemOf(error) };
	}
}

export function problemOf(error: unknown): TreeProblem["reason"] {
	const code = error instanceof Error && "code" in error ? error.code : undefined;
	if (code === "EACCES" || code === "EPERM") return "permission";
	if (code === "ENOENT") return "vanished";
	// ELOOP, ENXIO, ENOTDIR: a link, a socket or a file took its place after it was listed.
	if (code === "ELOOP" || code === "ENXIO" || code === "ENOTDIR") return "changed-while-read";
	return "io-error";
}

function hashOpenFile(fd: number): Content {
	let stats = fstatSync(fd, { bigint: true });
	for (let attempt = 1; ; attempt++) {
		const mode = Number(stats.mode) & 0o7777;
		if (!stats.isFile()) return { payload: EMPTY_PAYLOAD, mode, size: 0, state: null, problem: "changed-while-read" };
		const { payload, size } = hashBytes(fd, Number(stats.size));
		const after = fstatSync(fd, { bigint: true });
		const still = stats.size === after.size && stats.mtimeNs === after.mtimeNs && stats.ctimeNs === after.ctimeNs;
		if (still && BigInt(size) === after.size) return { payload, mode, size, state: stateOf(after), problem: null };
		if (attempt === ATTEMPTS) return { payload, mode, size, state: null, problem: "changed-while-read" };
		stats = after;
	}
}

/** Reads at most one byte past the size that was seen: a file that grows for ever must not be read for ever. */
function hashBytes(fd: number, expectedSize: number): { payload: string; size: number } {
	let size = readSync(fd, chunk, 0, CHUNK_BYTES, 0);
	if (size < CHUNK_BYTES) return { payload: hash("sha256", chunk.subarray(0, size), "hex"), size };
	const digest = createHash("sha256").update(chunk);
	while (size <= expectedSize) {
		const read = readSync(fd, chunk, 0, CHUNK_BYTES, size);
		if (read === 0) break;
		digest.update(chunk.subarray(0, read));
		size += read;
	}
	return { payload: digest.digest("hex"), size };
}
