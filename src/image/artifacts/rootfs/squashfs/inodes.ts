import { encodeDevice } from "../disk-file.ts";
import { fail } from "../failures.ts";
import {
	type DirectoryNode,
	entriesOf,
	type FileNode,
	type LeafNode,
	type RootfsNode,
	type RootfsTree,
	sortedChildren,
} from "../tree.ts";
import type { SquashfsCompression } from "./compression.ts";
import type { StoredFile } from "./data.ts";
import { encodeListing } from "./directory.ts";
import {
	EXTENDED_BY,
	encodeInode,
	type Field,
	fieldBytes,
	INODE_TYPES,
	type InodeHead,
	type MetadataPosition,
	NO_XATTRS,
} from "./format.ts";
import { MetadataRun } from "./metadata.ts";
import type { XattrTable } from "./xattrs.ts";

export interface InodeOptions {
	readonly epoch: number;
	readonly compression: SquashfsCompression;
	readonly stored: ReadonlyMap<FileNode, StoredFile>;
	readonly xattrs: XattrTable;
	readonly signal?: AbortSignal | undefined;
}

const MAX_SHORT = 0xffff;
const MAX_WORD = 0xffff_ffff;
/** What a listing's size says beyond its bytes: for the two entries that are not stored. */
const DOTS_BYTES = 3;

/** The tables of inodes and of folders: an inode is written after all that its folder's listing must point to. */
export class InodeTables {
	readonly #tree: RootfsTree;
	readonly #options: InodeOptions;
	readonly #inodeRun: MetadataRun;
	readonly #listingRun: MetadataRun;
	readonly #serials = new Map<RootfsNode, number>();
	readonly #links = new Map<RootfsNode, number>();
	readonly #parents = new Map<DirectoryNode, DirectoryNode>();
	readonly #positions = new Map<RootfsNode, MetadataPosition>();
	readonly #ids = new Map<number, number>();
	inodes: Buffer = Buffer.alloc(0);
	directories: Buffer = Buffer.alloc(0);

	constructor(tree: RootfsTree, options: InodeOptions) {
		this.#tree = tree;
		this.#options = options;
		this.#inodeRun = new MetadataRun(options.compression);
		this.#listingRun = new MetadataRun(options.compression);
	}

	get count(): number {
		return this.#serials.size;
	}

	get idCount(): number {
		return this.#ids.size;
	}

	get ids(): Buffer {
		return fieldBytes([...this.#ids.keys()].map((id) => [4, id] as const));
	}

	get root(): MetadataPosition {
		return this.#at(this.#positions, this.#tree.root);
	}

	encode(): void {
		const folders: DirectoryNode[] = [];
		for (const { node } of entriesOf(this.#tree)) {
			if (!this.#serials.has(node)) this.#serials.set(node, this.#serials.size + 1);
			this.#links.set(node, (this.#links.get(node) ?? 0) + 1);
			if (node.kind !== "directory") continue;
			folders.push(node);
			for (const child of node.children.values()) if (child.kind === "directory") this.#parents.set(child, node);
		}
		// Backwards, each folder comes after those in it.
		for (const folder of folders.reverse()) {
			this.#options.signal?.throwIfAborted();
			this.#addFolder(folder);
		}
		this.inodes = this.#inodeRun.end();
		this.directories = this.#listingRun.end();
		if (this.#ids.size > MAX_SHORT) {
			const reason = `it has ${this.#ids.size} owners, and squashfs numbers ${MAX_SHORT}`;
			throw fail("rootfs-unpackable", { format: "squashfs", entry: "the whole of it", reason });
		}
	}

	#addFolder(folder: DirectoryNode): void {
		const children = sortedChildren(folder);
		for (const [, child] of children) {
			if (child.kind !== "directory" && !this.#positions.has(child)) this.#add(child, this.#fieldsOf(child));
		}
		const listing = encodeListing(
			children.map(([name, child]) => ({
				name,
				kind: child.kind,
				serial: this.#at(this.#serials, child),
				position: this.#at(this.#positions, child),
			})),
		);
		const { block, offset } = this.#listingRun.write(listing);
		const links = 2 + children.filter(([, child]) => child.kind === "directory").length;
		const size = listing.length + DOTS_BYTES;
		const parent = this.#parents.get(folder);
		const parentSerial = parent === undefined ? this.count + 1 : this.#at(this.#serials, parent);
		const xattr = this.#options.xattrs.indexOf(folder);
		const basic = [
			[4, block],
			[4, links],
			[2, size],
			[2, offset],
			[4, parentSerial],
		] as const;
		const extended = [
			[4, links],
			[4, size],
			[4, block],
			[4, parentSerial],
			[2, 0],
			[2, offset],
			[4, xattr],
		] as const;
		this.#add(folder, size > MAX_SHORT || xattr !== NO_XATTRS ? { extended } : { basic });
	}

	#fieldsOf(node: LeafNode): InodeFields {
		const links = this.#links.get(node) ?? 1;
		const xattr = this.#options.xattrs.indexOf(node);
		const isPlain = xattr === NO_XATTRS;
		switch (node.kind) {
			case "file":
				return fileFields(node.content.sizeBytes, this.#at(this.#options.stored, node), { links, xattr });
			case "symlink": {
				const target = Buffer.from(node.target, "latin1");
				const fields = [
					[4, links],
					[4, target.length],
				] as const;
				if (isPlain) return { basic: fields, rest: target };
				return { extended: fields, rest: Buffer.concat([target, fieldBytes([[4, xattr]])]) };
			}
			case "character-device":
			case "block-device": {
				const fields = [
					[4, links],
					[4, encodeDevice(node.major, node.minor)],
				] as const;
				return isPlain ? { basic: fields } : { extended: [...fields, [4, xattr]] };
			}
			case "fifo":
				return isPlain
					? { basic: [[4, links]] }
					: {
							extended: [
								[4, links],
								[4, xattr],
							],
						};
		}
	}

	#add(node: RootfsNode, { basic, extended, rest }: InodeFields): void {
		const { mode, uid, gid } = node.meta;
		const head: InodeHead = {
			type: INODE_TYPES[node.kind] + (basic === undefined ? EXTENDED_BY : 0),
			mode,
			uid: this.#idOf(uid),
			gid: this.#idOf(gid),
			epoch: this.#options.epoch,
			serial: this.#at(this.#serials, node),
		};
		this.#positions.set(node, this.#inodeRun.write(encodeInode(head, basic ?? extended ?? [], rest)));
	}

	#idOf(id: number): number {
		const index = this.#ids.get(id) ?? this.#ids.size;
		this.#ids.set(id, index);
		// Too many are refused at the end.
		return index & MAX_SHORT;
	}

	#at<K, V>(map: ReadonlyMap<K, V>, key: K): V {
		const value = map.get(key);
		if (value === undefined) throw new TypeError("the tree changed while it was packed");
		return value;
	}
}

/** One of the two forms, and what follows it. */
interface InodeFields {
	readonly basic?: readonly Field[];
	readonly extended?: readonly Field[];
	readonly rest?: Uint8Array;
}

function fileFields(sizeBytes: number, file: StoredFile, more: { links: number; xattr: number }): InodeFields {
	const { start, fragment, fragmentOffset, sparseBytes, blockSizes } = file;
	const { links, xattr } = more;
	const rest = fieldBytes(blockSizes.map((size) => [4, size] as const));
	const isShort = start <= MAX_WORD && sizeBytes <= MAX_WORD;
	if (isShort && links === 1 && xattr === NO_XATTRS && sparseBytes === 0) {
		return {
			basic: [
				[4, start],
				[4, fragment],
				[4, fragmentOffset],
				[4, sizeBytes],
			],
			rest,
		};
	}
	const place = [
		[8, start],
		[8, sizeBytes],
		[8, sparseBytes],
	] as const;
	return { extended: [...place, [4, links], [4, fragment], [4, fragmentOffset], [4, xattr]], rest };
}
