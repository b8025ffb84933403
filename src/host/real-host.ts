import { accessSync, closeSync, constants, openSync, readdirSync, readlinkSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import type { FolderEntry, Host } from "./host.ts";
import { findProgram, runProgram, startProgram } from "./program-run.ts";
import { Supervisors } from "./supervised-process.ts";

const TEXT_LIMIT_BYTES = 1024 * 1024;
const PART_BYTES = 16 * 1024;

/**
 * The machine that this process runs on. It is looked at without threads: what drivers look at are small files of the kernel's,
 * each read before a thread could take it, and what waits for them is a run.
 */
export function realHost(): Host {
	const supervisors = new Supervisors();
	return {
		run: runProgram,
		start: startProgram,
		findProgram,
		readText: async (path) => readText(path),
		exists: async (path) => mayAccess(path, constants.F_OK),
		listFolder: async (path) => listFolder(path),
		isWritable: async (path) => mayAccess(path, constants.W_OK),
		ownerOf: async (path) => succeeds(() => statSync(path).uid),
		userId: process.geteuid?.() ?? 0,
		groupId: process.getegid?.() ?? 0,
		expectRun: () => supervisors.expectRun(),
		supervise: (spec, go) => supervisors.supervise(spec, go),
	};
}

/** Read to its end rather than by its size: files below /proc claim to be empty. */
function readText(path: string): string | undefined {
	let file: number | undefined;
	try {
		file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
		const parts: Buffer[] = [];
		for (let used = 0; used <= TEXT_LIMIT_BYTES; ) {
			const part = Buffer.allocUnsafe(PART_BYTES);
			const count = readSync(file, part);
			if (count === 0) return Buffer.concat(parts).toString("utf8");
			parts.push(part.subarray(0, count));
			used += count;
		}
		return undefined;
	} catch {
		return undefined;
	} finally {
		if (file !== undefined) closeSync(file);
	}
}

function listFolder(path: string): readonly FolderEntry[] {
	const entries = succeeds(() => readdirSync(path, { withFileTypes: true })) ?? [];
	const listed = entries.map((entry): FolderEntry => {
		if (entry.isDirectory()) return { name: entry.name, kind: "directory", target: "" };
		if (entry.isFile()) return { name: entry.name, kind: "file", target: "" };
		if (!entry.isSymbolicLink()) return { name: entry.name, kind: "other", target: "" };
		return { name: entry.name, kind: "link", target: succeeds(() => readlinkSync(join(path, entry.name))) ?? "" };
	});
	return listed.sort((left, right) => (left.name < right.name ? -1 : 1));
}

function mayAccess(path: string, mode: number): boolean {
	return succeeds(() => accessSync(path, mode) ?? true) ?? false;
}

/** What it gives, or undefined when it throws. */
function succeeds<T>(look: () => T): T | undefined {
	try {
		return look();
	} catch {
		return undefined;
	}
}
