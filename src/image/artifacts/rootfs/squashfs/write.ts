import { printablePath } from "../../../../host/index.ts";
import { makeDisk, writeAll } from "../disk-file.ts";
import { fail } from "../failures.ts";
import { entriesOf, type FileNode, type RootfsTree } from "../tree.ts";
import type { SquashfsCompression } from "./compression.ts";
import { DataWriter, type StoredFile } from "./data.ts";
import { encodeSuperblock, SUPERBLOCK_BYTES } from "./format.ts";
import { InodeTables } from "./inodes.ts";
import { encodeTable } from "./metadata.ts";
import { XattrTable } from "./xattrs.ts";

export interface SquashfsOptions {
	/** The file to make; it must not be there. It is removed again when packing fails or is interrupted. */
	readonly path: string;
	/** Seconds since 1970, 32 bits: every time in the file system. */
	readonly epoch: number;
	readonly compression: SquashfsCompression;
	readonly signal?: AbortSignal | undefined;
	/** Content bytes compressed, and in all. */
	readonly progress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

const FILE_MODE = 0o644;
const PADDED_TO = 4096;
const MAX_EPOCH = 2 ** 32 - 1;

/** Packs a tree as squashfs 4.0. The same tree gives the same bytes wherever Node brings the same zstd. */
export async function writeSquashfs(
	tree: RootfsTree,
	options: SquashfsOptions,
): Promise<{ readonly sizeBytes: number }> {
	options.signal?.throwIfAborted();
	if (options.epoch < 0 || options.epoch > MAX_EPOCH) throw unpackable("its epoch", "squashfs has 32 bits for times");
	const xattrs = xattrsOf(tree, options.compression);
	const sizeBytes = await makeDisk(options.path, FILE_MODE, async (file) => {
		const stored = new Map<FileNode, StoredFile>();
		const data = await writeData(tree, stored, file, options);
		const inodes = new InodeTables(tree, { ...options, stored, xattrs });
		inodes.encode();
		const inodesAt = data.position;
		const directoriesAt = inodesAt + inodes.inodes.length;
		const fragmentsFrom = directoriesAt + inodes.directories.length;
		const fragments = encodeTable(data.fragmentTable(), fragmentsFrom, options.compression);
		const idsFrom = fragmentsFrom + fragments.bytes.length;
		const ids = encodeTable(inodes.ids, idsFrom, options.compression);
		const xattrsFrom = idsFrom + ids.bytes.length;
		const attached = xattrs.encode(xattrsFrom);
		const endAt = xattrsFrom + attached.bytes.length;
		const superblock = encodeSuperblock({
			inodes: inodes.count,
			epoch: options.epoch,
			fragments: data.fragments,
			compression: options.compression,
			ids: inodes.idCount,
			root: inodes.root,
			endAt,
			idsAt: ids.listAt,
			xattrsAt: attached.listAt,
			inodesAt,
			directoriesAt,
			fragmentsAt: fragments.listAt,
		});
		const padding = Buffer.alloc((PADDED_TO - (endAt % PADDED_TO)) % PADDED_TO);
		const tables = [inodes.inodes, inodes.directories, fragments.bytes, ids.bytes, attached.bytes, padding];
		writeAll(file, Buffer.concat(tables), inodesAt);
		writeAll(file, superblock, 0);
		return endAt + padding.length;
	});
	return { sizeBytes };
}

async function writeData(
	tree: RootfsTree,
	stored: Map<FileNode, StoredFile>,
	file: number,
	{ compression, signal, progress }: SquashfsOptions,
): Promise<DataWriter> {
	const files = new Set<FileNode>();
	for (const { node } of entriesOf(tree)) if (node.kind === "file") files.add(node);
	const totalBytes = [...files].reduce((sum, { content }) => sum + content.sizeBytes, 0);
	let doneBytes = 0;
	const data = new DataWriter({
		compression,
		start: SUPERBLOCK_BYTES,
		write: (bytes, position) => writeAll(file, bytes, position),
		signal,
		progress: (bytes) => {
			doneBytes += bytes;
			progress?.(doneBytes, totalBytes);
		},
	});
	for (const node of files) stored.set(node, await data.add(node.content));
	await data.end();
	return data;
}

function xattrsOf(tree: RootfsTree, compression: SquashfsCompression): XattrTable {
	const table = new XattrTable(compression);
	for (const { path, node } of entriesOf(tree)) {
		const refused = table.add(node);
		if (refused === undefined) continue;
		throw unpackable(`/${printablePath(path)}`, `squashfs can't store its xattr ${printablePath(refused)}`);
	}
	return table;
}

function unpackable(entry: string, reason: string) {
	return fail("rootfs-unpackable", { format: "squashfs", entry, reason });
}
