import { fail } from "../failures.ts";
import { type DirectoryNode, type RootfsNode, type RootfsTree, sortedChildren } from "../tree.ts";
import { measureDirectory } from "./directory.ts";
import {
	BLOCK_BYTES,
	COMPACT_INODE_BYTES,
	type DataLayout,
	EXTENDED_INODE_BYTES,
	encodeXattrs,
	FLAT_INLINE,
	FLAT_PLAIN,
	SLOT_BYTES,
} from "./format.ts";
import { SlotAllocator } from "./slots.ts";

/** Where everything of a disk goes, before a byte is written: folders hold the positions of what is in them. */
export interface ErofsPlan {
	/** In the order in which they are written: each folder before what is in it, names in byte order. */
	readonly inodes: readonly PlannedInode[];
	readonly byNode: ReadonlyMap<RootfsNode, PlannedInode>;
	/** Blocks with inodes; they start at block 1. */
	readonly metaBlocks: number;
	/** All blocks of the disk. */
	readonly blocks: number;
	readonly contentBytes: number;
}

export interface PlannedInode {
	readonly node: RootfsNode;
	/** Counts from 1. */
	readonly serial: number;
	readonly parent: PlannedInode | undefined;
	links: number;
	readonly sizeBytes: number;
	/** Of the inode itself, 32 or 64. */
	inodeBytes: number;
	readonly xattrs: Buffer;
	layout: DataLayout;
	/** Byte of the disk at which it starts. */
	offset: number;
	/** Block of its data; 0 when it has none outside of the inode. */
	block: number;
}

export interface PlanOptions {
	readonly epoch: number;
	/** "epoch": every time is the epoch. "kept": each node's own. */
	readonly times: "epoch" | "kept";
}

const MAX_BLOCKS = 2 ** 32 - 1;

export function planErofs(tree: RootfsTree, options: PlanOptions): ErofsPlan {
	const byNode = enumerate(tree);
	const inodes = [...byNode.values()];
	const slots = new SlotAllocator(BLOCK_BYTES);
	for (const inode of inodes) placeInode(inode, slots, options);
	const metaBlocks = slots.blocks;
	let blocks = 1 + metaBlocks;
	let contentBytes = 0;
	for (const inode of inodes) {
		const own = blocksOf(inode);
		if (own > 0) inode.block = blocks;
		blocks += own;
		contentBytes += inode.sizeBytes;
	}
	if (blocks > MAX_BLOCKS) {
		throw fail("rootfs-unpackable", { format: "erofs", entry: "the whole of it", reason: "it has over 2^32 blocks" });
	}
	return { inodes, byNode, metaBlocks, blocks, contentBytes };
}

/** Blocks outside of the inode. */
export function blocksOf({ layout, sizeBytes, node }: PlannedInode): number {
	if (node.kind !== "file" && node.kind !== "directory" && node.kind !== "symlink") return 0;
	return layout === FLAT_INLINE ? Math.floor(sizeBytes / BLOCK_BYTES) : Math.ceil(sizeBytes / BLOCK_BYTES);
}

interface Waiting {
	readonly path: string;
	readonly node: RootfsNode;
	readonly parent: PlannedInode | undefined;
}

function enumerate(tree: RootfsTree): Map<RootfsNode, PlannedInode> {
	const byNode = new Map<RootfsNode, PlannedInode>();
	const waiting: Waiting[] = [{ path: "", node: tree.root, parent: undefined }];
	for (let entry = waiting.pop(); entry !== undefined; entry = waiting.pop()) {
		const { node, path, parent } = entry;
		const known = byNode.get(node);
		if (known !== undefined) {
			known.links += 1;
			continue;
		}
		const children = node.kind === "directory" ? sortedChildren(node) : [];
		const inode = newInode(entry, byNode.size + 1, parent);
		byNode.set(node, inode);
		for (let index = children.length - 1; index >= 0; index -= 1) {
			const child = children[index];
			if (child === undefined) continue;
			// Each folder inside is one more name of this one: its "..".
			if (child[1].kind === "directory") inode.links += 1;
			waiting.push({ path: `${path}/${child[0]}`, node: child[1], parent: inode });
		}
	}
	return byNode;
}

function newInode({ node, path }: Waiting, serial: number, parent: PlannedInode | undefined): PlannedInode {
	const xattrs = encodeXattrs(node.meta.xattrs);
	if ("refused" in xattrs) throw fail("rootfs-unpackable", { format: "erofs", entry: path, reason: xattrs.refused });
	return {
		node,
		serial,
		parent,
		links: node.kind === "directory" ? 2 : 1,
		sizeBytes: sizeOf(node),
		inodeBytes: COMPACT_INODE_BYTES,
		xattrs,
		layout: FLAT_PLAIN,
		offset: 0,
		block: 0,
	};
}

function sizeOf(node: RootfsNode): number {
	if (node.kind === "file") return node.content.sizeBytes;
	if (node.kind === "symlink") return node.target.length;
	return node.kind === "directory" ? measureDirectory(namesOf(node)).sizeBytes : 0;
}

/** The names that are stored, sorted: "." and ".." stand among them where their bytes put them. */
export function namesOf(node: DirectoryNode): string[] {
	return [".", "..", ...node.children.keys()].sort();
}

function placeInode(inode: PlannedInode, slots: SlotAllocator, options: PlanOptions): void {
	if (needsExtended(inode, options)) inode.inodeBytes = EXTENDED_INODE_BYTES;
	const head = inode.inodeBytes + inode.xattrs.length;
	const tail = inode.sizeBytes % BLOCK_BYTES;
	// The tail must be in one block with the end of the inode, else the kernel calls it damaged.
	const inline = tail > 0 && head + tail <= BLOCK_BYTES;
	if (inline) inode.layout = FLAT_INLINE;
	inode.offset = BLOCK_BYTES + slots.take(Math.ceil((head + (inline ? tail : 0)) / SLOT_BYTES) * SLOT_BYTES);
}

const MAX_SHORT = 0xffff;

/** The 32-byte form has no time of its own: the superblock's holds for it. */
function needsExtended({ node: { meta }, links, sizeBytes }: PlannedInode, { epoch, times }: PlanOptions): boolean {
	const ownTime = times === "kept" && (meta.mtimeS !== epoch || meta.mtimeNs !== 0);
	return ownTime || meta.uid > MAX_SHORT || meta.gid > MAX_SHORT || links > MAX_SHORT || sizeBytes >= 2 ** 32;
}
