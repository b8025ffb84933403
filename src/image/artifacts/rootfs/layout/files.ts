import { statSync } from "node:fs";
import { join, posix } from "node:path";
import { parseJsonStrict } from "../../../../core/index.ts";
import type { Budget } from "../budget.ts";
import { rawOfText } from "../raw-text.ts";
import { Refusal } from "../source.ts";
import { type ByteStore, openSource, partOf } from "../stores.ts";
import { TarReader } from "../tar/reader.ts";

/** The files of a layout, by their path in it, whether it is a folder or an archive. */
export interface LayoutFiles {
	/** Undefined when there is no such file. It stays open with the tree that is read. */
	open(path: string): ByteStore | undefined;
	/** All of a small file; undefined when there is none. Throws Refusal when it is large. */
	read(path: string): Buffer | undefined;
}

/** A folder. `keep` gets what is opened and closes it in the end. */
export function folderFiles(directory: string, keep: (store: ByteStore) => void): LayoutFiles {
	const open = (path: string): ByteStore | undefined => {
		const found = join(directory, path);
		return statSync(found, { throwIfNoEntry: false })?.isFile() === true ? openSource(found, path) : undefined;
	};
	return {
		open: (path) => {
			const store = open(path);
			if (store !== undefined) keep(store);
			return store;
		},
		read: (path) => {
			const store = open(path);
			try {
				return store === undefined ? undefined : readDocument(store, path);
			} finally {
				store?.close();
			}
		},
	};
}

type Member = { readonly offset: number; readonly sizeBytes: number } | { readonly target: string };

/** An uncompressed archive, of which the contents stay where they are. */
export function archiveFiles(archive: ByteStore, budget: Budget): LayoutFiles {
	const members = new Map<string, Member>();
	scanArchive(archive, (entry) => {
		budget.countEntry(entry.path, entry.path.length + entry.link.length);
		const path = posix.normalize(entry.path);
		if (entry.kind === "directory") return;
		if (members.has(path)) throw new Refusal(entry.path, "the archive has it twice");
		if (entry.kind === "file") members.set(path, { offset: entry.offset, sizeBytes: entry.sizeBytes });
		// `docker save` links layers that images share: relative to where the link is.
		if (entry.kind === "symlink") members.set(path, { target: posix.join(posix.dirname(path), entry.link) });
		if (entry.kind === "hardlink") members.set(path, { target: posix.normalize(entry.link) });
	});
	const open = (path: string): ByteStore | undefined => {
		const member = members.get(rawOfText(path));
		const file = member !== undefined && "target" in member ? members.get(member.target) : member;
		return file === undefined || "target" in file ? undefined : partOf(archive, file.offset, file.sizeBytes);
	};
	return {
		open,
		read: (path) => {
			const store = open(path);
			return store === undefined ? undefined : readDocument(store, path);
		},
	};
}

const HEAD_BYTES = 4096;

/** All entries of an uncompressed archive, contents left out. */
export function scanArchive(archive: ByteStore, onEntry: ConstructorParameters<typeof TarReader>[0]): void {
	const reader = new TarReader(onEntry);
	const buffer = Buffer.alloc(HEAD_BYTES);
	for (let at = 0; at < archive.sizeBytes; ) {
		const bytes = Math.min(HEAD_BYTES, archive.sizeBytes - at);
		archive.read(buffer, 0, bytes, at);
		at += bytes;
		reader.push(buffer.subarray(0, bytes));
		// Skipping past the end leaves the reader in the middle of an entry, which `end` refuses.
		const rest = Math.min(reader.skippableBytes, archive.sizeBytes - at);
		if (rest > 0) at += reader.skip(rest);
	}
	reader.end();
}

/** Bounds of the JSON documents of a layout. */
const MAX_DOCUMENT_BYTES = 4 * 2 ** 20;

function readDocument(store: ByteStore, shown: string): Buffer {
	if (store.sizeBytes > MAX_DOCUMENT_BYTES) throw new Refusal(shown, "it is too large for what it should be");
	const bytes = Buffer.alloc(store.sizeBytes);
	store.read(bytes, 0, bytes.length, 0);
	return bytes;
}

export function parseDocument(bytes: Buffer, shown: string): unknown {
	try {
		return parseJsonStrict(bytes.toString("utf8"));
	} catch (error) {
		throw new Refusal(shown, `it is not JSON: ${(error as Error).message}`);
	}
}
