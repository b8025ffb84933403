import { randomBytes } from "node:crypto";
import {
	chownSync,
	closeSync,
	fchmodSync,
	fchownSync,
	fstatSync,
	ftruncateSync,
	futimesSync,
	lutimesSync,
	openSync,
	renameSync,
	rmdirSync,
	symlinkSync,
	unlinkSync,
} from "node:fs";
import type { ChangeRecord } from "./changes-record.ts";
import { type SpooledChanges, writeWhole } from "./changes-spool.ts";
import { below, HANDLE_ONLY, namesIn, openFolderBelow, SAFE_CREATE, statBelow } from "./open-folder.ts";

/** Where a changed entry goes: a name in an open folder, and whose it is then; null leaves it the user's of this process. */
export interface Place {
	readonly folderFd: number;
	readonly name: string;
	readonly owner: { readonly userId: number; readonly groupId: number } | null;
}

/** Nothing that the guest made may act as somebody else, or as a group, on the host. */
const FILE_MODE_BITS = 0o777;

/**
 * A file under another name, then renamed over the one that is there: whoever reads it has the old one or the new one, and
 * another name of the old one, wherever it may be, keeps the old contents.
 */
export async function putFile(
	place: Place,
	record: ChangeRecord,
	changes: SpooledChanges,
	pace: () => Promise<void>,
): Promise<void> {
	await throughTemporary(place, async (temporary) => {
		const fd = openSync(below(place.folderFd, temporary), SAFE_CREATE, 0o600);
		try {
			await writeContents(fd, record, changes, pace);
			if (place.owner !== null) fchownSync(fd, place.owner.userId, place.owner.groupId);
			fchmodSync(fd, record.mode & FILE_MODE_BITS);
			futimesSync(fd, record.modifiedSeconds, record.modifiedSeconds);
		} finally {
			closeSync(fd);
		}
	});
}

export async function writeContents(
	fd: number,
	record: ChangeRecord,
	changes: SpooledChanges,
	pace: () => Promise<void>,
): Promise<void> {
	let position = 0;
	let endsInHole = false;
	for (const piece of changes.contents(record)) {
		endsInHole = "zeroBytes" in piece;
		if ("zeroBytes" in piece) position += piece.zeroBytes;
		else {
			writeWhole(fd, piece, position);
			position += piece.length;
		}
		await pace();
	}
	if (endsInHole) ftruncateSync(fd, position);
}

export async function putLink(place: Place, record: ChangeRecord): Promise<void> {
	await throughTemporary(place, async (temporary) => {
		const path = below(place.folderFd, temporary);
		symlinkSync(Buffer.from(record.target, "latin1"), path);
		if (place.owner !== null) giveLink(path, place.owner);
		lutimesSync(path, record.modifiedSeconds, record.modifiedSeconds);
	});
}

/** By a handle: somebody else's file that was moved to the link's name meanwhile must not be given away. */
function giveLink(path: string | Buffer, owner: NonNullable<Place["owner"]>): void {
	const fd = openSync(path, HANDLE_ONLY);
	try {
		if (fstatSync(fd).isSymbolicLink()) chownSync(`/proc/self/fd/${fd}`, owner.userId, owner.groupId);
	} finally {
		closeSync(fd);
	}
}

async function throughTemporary(place: Place, make: (temporary: string) => Promise<void>): Promise<void> {
	const temporary = `.vouch-${randomBytes(8).toString("hex")}`;
	const path = below(place.folderFd, temporary);
	try {
		await make(temporary);
		// rename(2) takes a folder's place only when that is an empty one, and then only for a folder.
		if (statBelow(place.folderFd, place.name)?.isDirectory() === true) await removeTree(place, async () => {});
		renameSync(path, below(place.folderFd, place.name));
	} catch (error) {
		if (statBelow(place.folderFd, temporary) !== undefined) unlinkSync(path);
		throw error;
	}
}

/** Removes an entry and all below it, following nothing. The first failure ends it. */
export async function removeTree(place: Omit<Place, "owner">, pace: () => Promise<void>): Promise<void> {
	await pace();
	const { folderFd, name } = place;
	const stats = statBelow(folderFd, name);
	if (stats === undefined) return;
	if (!stats.isDirectory()) {
		unlinkSync(below(folderFd, name));
		return;
	}
	const fd = openFolderBelow(folderFd, name);
	try {
		for (const inner of namesIn(fd)) await removeTree({ folderFd: fd, name: inner }, pace);
	} finally {
		closeSync(fd);
	}
	rmdirSync(below(folderFd, name));
}
