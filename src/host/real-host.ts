import { constants } from "node:fs";
import { access, open, readdir, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import type { FolderEntry, Host } from "./host.ts";
import { findProgram, runProgram, startProgram } from "./program-run.ts";
import { supervise } from "./supervised-process.ts";

const TEXT_LIMIT_BYTES = 1024 * 1024;

/** The machine that this process runs on. */
export function realHost(): Host {
	return {
		run: runProgram,
		start: startProgram,
		findProgram,
		readText,
		exists: (path) =>
			access(path).then(
				() => true,
				() => false,
			),
		listFolder,
		isWritable: (path) =>
			access(path, constants.W_OK).then(
				() => true,
				() => false,
			),
		ownerOf: (path) =>
			stat(path).then(
				({ uid }) => uid,
				() => undefined,
			),
		userId: process.geteuid?.() ?? 0,
		groupId: process.getegid?.() ?? 0,
		supervise,
	};
}

/** Read to its end rather than by its size: files below /proc claim to be empty. */
async function readText(path: string): Promise<string | undefined> {
	try {
		await using file = await open(path, "r");
		const bytes = Buffer.alloc(TEXT_LIMIT_BYTES + 1);
		let used = 0;
		while (used < bytes.length) {
			const { bytesRead } = await file.read(bytes, used, bytes.length - used);
			if (bytesRead === 0) return bytes.toString("utf8", 0, used);
			used += bytesRead;
		}
		return undefined;
	} catch {
		return undefined;
	}
}

async function listFolder(path: string): Promise<readonly FolderEntry[]> {
	const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
	const listed = entries.map(async (entry): Promise<FolderEntry> => {
		if (entry.isDirectory()) return { name: entry.name, kind: "directory", target: "" };
		if (entry.isFile()) return { name: entry.name, kind: "file", target: "" };
		if (!entry.isSymbolicLink()) return { name: entry.name, kind: "other", target: "" };
		return { name: entry.name, kind: "link", target: await readlink(join(path, entry.name)).catch(() => "") };
	});
	return (await Promise.all(listed)).sort((left, right) => (left.name < right.name ? -1 : 1));
}
