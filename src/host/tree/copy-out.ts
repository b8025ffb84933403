import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { beneath, SAFE_OPEN } from "./content.ts";
import { rawOfPath, rawOfText, systemPath } from "./path-text.ts";
import type { TreeSnapshot } from "./snapshot.ts";

const FOLDER_OPEN = SAFE_OPEN | constants.O_DIRECTORY;
const CHUNK_BYTES = 1 << 20;

/**
 * Copies a file of a snapshot to a new private file, durably. Every folder on the way is opened beneath the one before, so that no
 * link leads out; `changed` when the bytes are not the snapshot's any more. Then, or when it throws, there is no copy.
 */
export async function copyOut(snapshot: TreeSnapshot, path: string, target: string): Promise<"copied" | "changed"> {
	const entry = snapshot.entries.get(path);
	const fd = entry?.type === "file" && entry.read ? openBeneath(snapshot.root, path) : undefined;
	if (entry === undefined || fd === undefined) return "changed";
	try {
		const copy = await open(target, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
		let isWhole = false;
		try {
			isWhole = fstatSync(fd).isFile() && (await copyBytes(fd, entry.size, copy)) === entry.payload;
			if (isWhole) await copy.sync();
			return isWhole ? "copied" : "changed";
		} finally {
			await copy.close();
			if (!isWhole) await rm(target, { force: true });
		}
	} finally {
		closeSync(fd);
	}
}

/** Undefined when a part of the way is not there any more, or is a link. */
function openBeneath(root: string, path: string): number | undefined {
	const names = rawOfPath(path).split("/");
	let fd = openSync(systemPath(rawOfText(root)), FOLDER_OPEN);
	try {
		for (const [at, name] of names.entries()) {
			const next = openSync(beneath(fd, name), at === names.length - 1 ? SAFE_OPEN : FOLDER_OPEN);
			closeSync(fd);
			fd = next;
		}
		return fd;
	} catch {
		closeSync(fd);
		return undefined;
	}
}

/** Answers the hexadecimal SHA-256 of what was copied: at most a byte more than is expected. */
async function copyBytes(fd: number, expectedBytes: number, copy: FileHandle): Promise<string> {
	const digest = createHash("sha256");
	const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, expectedBytes + 1));
	for (let size = 0; size <= expectedBytes; ) {
		const read = readSync(fd, chunk, 0, chunk.length, size);
		if (read === 0) break;
		digest.update(chunk.subarray(0, read));
		await copy.write(chunk, 0, read);
		size += read;
		await nextTurn();
	}
	return digest.digest("hex");
}
