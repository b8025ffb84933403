import { type BigIntStats, constants, fstatSync, lstatSync, openSync, readdirSync, realpathSync } from "node:fs";

/**
 * Folders as open descriptors, and names below them: `/proc/self/fd/N/name` is openat(2) by other means, so that no part
 * of the way can be exchanged for a link. Names are "raw" strings with one character per byte (latin1).
 */

/** O_NONBLOCK: a pipe that took the entry's place must not make us wait for its writer. */
export const SAFE_READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
export const SAFE_CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** fcntl.h O_PATH, which Node does not name: a handle on the entry itself, be it a link. */
export const HANDLE_ONLY = 0o10000000 | constants.O_NOFOLLOW;
const FOLDER = SAFE_READ | constants.O_DIRECTORY;

/** What `node:fs` takes for a raw name below an open folder: a string would be encoded as UTF-8 once more. */
export function below(folderFd: number, rawName: string): string | Buffer {
	const path = `/proc/self/fd/${folderFd}/${rawName}`;
	// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is "every ASCII byte", for speed on plain names.
	return /^[\x00-\x7f]*$/.test(rawName) ? path : Buffer.from(path, "latin1");
}

/** The folder itself may be named through links by whoever asks; nothing below it is. */
export function openRootFolder(path: string): number {
	return openSync(realpathSync(path), FOLDER);
}

export function openFolderBelow(folderFd: number, rawName: string): number {
	return openSync(below(folderFd, rawName), FOLDER);
}

/** The entry itself, links not followed; undefined when there is none. */
export function statBelow(folderFd: number, rawName: string): BigIntStats | undefined {
	return lstatSync(below(folderFd, rawName), { bigint: true, throwIfNoEntry: false });
}

/** In byte order. */
export function namesIn(folderFd: number): readonly string[] {
	return readdirSync(`/proc/self/fd/${folderFd}`, { encoding: "latin1" }).sort();
}

/** Raw form of a name that came as text. */
export function rawOfText(text: string): string {
	return Buffer.from(text, "utf8").toString("latin1");
}

/** Name of errno(3); empty for what is not a failed system call. */
export function codeOf(error: unknown): string {
	return error instanceof Error && "syscall" in error && "code" in error ? String(error.code) : "";
}

export function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}

/** Identity of an open folder: device and inode. */
export function identityOf(fd: number): string {
	const { dev, ino } = fstatSync(fd, { bigint: true });
	return `${dev}:${ino}`;
}
