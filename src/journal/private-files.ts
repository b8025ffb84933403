import {
	closeSync,
	constants,
	fstatSync,
	fsyncSync,
	linkSync,
	lstatSync,
	mkdirSync,
	openSync,
	readFileSync,
	renameSync,
	type Stats,
	unlinkSync,
	writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fail } from "./failures.ts";

/** Files that only this user may read and that survive a loss of power once a call has returned. Never follows a link. */

const PRIVATE_FILE = 0o600;
const PRIVATE_DIRECTORY = 0o700;
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;
const MAX_TEXT_BYTES = 16_384;

/** Makes a directory of mode 0700, or takes one that is already private and ours. Throws `path-unsafe`. */
export function privateDirectory(path: string): void {
	const made = mkdirSync(path, { recursive: true, mode: PRIVATE_DIRECTORY });
	if (made !== undefined) syncDirectory(dirname(made));
	const found = lstatSync(path);
	if (!found.isDirectory()) throw fail("path-unsafe", { path, why: "it is not a directory", fix: "Move it away." });
	refuseForeign(path, found, OTHERS);
}

/** Bytes of a file that only its user, who is ours, may read; undefined when there is none. Throws `path-unsafe`. */
export function readSecret(path: string): Buffer | undefined {
	return readRegular(path, MAX_TEXT_BYTES, (found) => refuseForeign(path, found, OTHERS));
}

/** Bytes of a file that others may read and not write; undefined when there is none. Throws `path-unsafe`. */
export function readOwn(path: string): Buffer | undefined {
	return readRegular(path, MAX_TEXT_BYTES, (found) => refuseForeign(path, found, OTHERS_WRITE));
}

/** Bytes of any regular file, whoever owns it: what is read so is vouched for by a signature. Throws `path-unsafe`. */
export function readRegular(
	path: string,
	maxBytes: number,
	check: (found: Stats) => void = () => {},
): Buffer | undefined {
	const descriptor = openExisting(path);
	if (descriptor === undefined) return undefined;
	try {
		const found = fstatSync(descriptor);
		if (!found.isFile()) throw fail("path-unsafe", { path, why: "it is not a regular file", fix: "Put one there." });
		if (found.size > maxBytes) {
			throw fail("path-unsafe", { path, why: `it has ${found.size} bytes`, fix: `At most ${maxBytes} fit there.` });
		}
		check(found);
		return readFileSync(descriptor);
	} finally {
		closeSync(descriptor);
	}
}

/** Writes in place and makes it durable. For files that nothing refers to yet: a crash may leave half of it. */
export function writeDurably(path: string, bytes: Uint8Array): void {
	writeNew(path, bytes, constants.O_TRUNC);
	syncDirectory(dirname(path));
}

/** Replaces a file as one step: readers and crashes see the old bytes or the new ones. */
export function replaceDurably(path: string, bytes: Uint8Array): void {
	const draft = `${path}.new`;
	writeNew(draft, bytes, constants.O_TRUNC);
	renameSync(draft, path);
	syncDirectory(dirname(path));
}

/** Creates a file whole or not at all; false when there is one already. */
export function createDurably(path: string, bytes: Uint8Array): boolean {
	const draft = `${path}.${process.pid}`;
	writeNew(draft, bytes, constants.O_TRUNC);
	try {
		// Unlike rename(2), link(2) fails when the name is taken: of two first uses at once, one wins.
		linkSync(draft, path);
	} catch (error) {
		if (codeOf(error) === "EEXIST") return false;
		throw error;
	} finally {
		unlinkSync(draft);
	}
	syncDirectory(dirname(path));
	return true;
}

/** Makes a directory below a private one, its name durable. */
export function subdirectory(parent: string, ...names: readonly string[]): string {
	const path = join(parent, ...names);
	const made = mkdirSync(path, { recursive: true, mode: PRIVATE_DIRECTORY });
	// Every new level's name stands in the level above it.
	for (let level = path; made !== undefined && level.length >= made.length; level = dirname(level)) {
		syncDirectory(dirname(level));
	}
	return path;
}

export function codeOf(error: unknown): string | undefined {
	return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

function writeNew(path: string, bytes: Uint8Array, existing: number): void {
	const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW | existing;
	const descriptor = openSync(path, flags, PRIVATE_FILE);
	try {
		for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
		fsyncSync(descriptor);
	} finally {
		closeSync(descriptor);
	}
}

function openExisting(path: string): number | undefined {
	try {
		return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
	} catch (error) {
		if (codeOf(error) === "ENOENT") return undefined;
		if (codeOf(error) === "ELOOP") {
			throw fail("path-unsafe", { path, why: "it is a symbolic link", fix: "Put the file itself there." }, error);
		}
		throw error;
	}
}

function refuseForeign(path: string, found: Stats, forbidden: number): void {
	const userId = process.geteuid?.() ?? found.uid;
	const fix = `Give it to user ${userId} and take mode ${forbidden.toString(8)} from it, if you know who wrote it.`;
	if (found.uid !== userId) throw fail("path-unsafe", { path, why: `it belongs to user ${found.uid}`, fix });
	if ((found.mode & forbidden) !== 0) {
		throw fail("path-unsafe", { path, why: `its mode ${(found.mode & 0o7777).toString(8)} lets others in`, fix });
	}
}

function syncDirectory(path: string): void {
	const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
	try {
		fsyncSync(descriptor);
	} finally {
		closeSync(descriptor);
	}
}
