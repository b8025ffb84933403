/** The on-disk format of squashfs 4.0 as Linux reads it: fs/squashfs/squashfs_fs.h. */
import type { Xattr } from "../tree.ts";

export const BLOCK_BYTES = 131_072;
const BLOCK_BITS = 17;
/** Of what inodes, names and tables lie in, before they are compressed. */
export const METADATA_BYTES = 8192;
/** In a block's size: it is stored as it is. */
export const STORED_DATA = 1 << 24;
export const STORED_METADATA = 1 << 15;
export const NO_FRAGMENT = 0xffff_ffff;
export const NO_XATTRS = 0xffff_ffff;
const ABSENT_TABLE = 0xffff_ffff_ffff_ffffn;

const MAGIC = 0x73717368;
export const SUPERBLOCK_BYTES = 96;
const ZSTD = 6;
/** Inodes, data, fragments, xattrs and ids as they are. */
const FLAGS_UNCOMPRESSED = 0x1 | 0x2 | 0x8 | 0x100 | 0x800;
const FLAG_NO_XATTRS = 0x200;

export interface Superblock {
	readonly inodes: number;
	readonly epoch: number;
	readonly fragments: number;
	readonly compression: "zstd" | "none";
	readonly ids: number;
	readonly root: MetadataPosition;
	/** Bytes from the start of the disk. */
	readonly endAt: number;
	readonly idsAt: number;
	readonly xattrsAt: number | undefined;
	readonly inodesAt: number;
	readonly directoriesAt: number;
	readonly fragmentsAt: number;
}

/** Where something lies in a run of metadata blocks. */
export interface MetadataPosition {
	/** Byte of the run at which its block starts, as stored. */
	readonly block: number;
	/** Byte of that block, as read. */
	readonly offset: number;
}

export function encodeSuperblock(superblock: Superblock): Buffer {
	const bytes = Buffer.alloc(SUPERBLOCK_BYTES);
	const noXattrs = superblock.xattrsAt === undefined ? FLAG_NO_XATTRS : 0;
	bytes.writeUInt32LE(MAGIC, 0);
	bytes.writeUInt32LE(superblock.inodes, 4);
	bytes.writeUInt32LE(superblock.epoch, 8);
	bytes.writeUInt32LE(BLOCK_BYTES, 12);
	bytes.writeUInt32LE(superblock.fragments, 16);
	bytes.writeUInt16LE(ZSTD, 20);
	bytes.writeUInt16LE(BLOCK_BITS, 22);
	bytes.writeUInt16LE(noXattrs | (superblock.compression === "none" ? FLAGS_UNCOMPRESSED : 0), 24);
	bytes.writeUInt16LE(superblock.ids, 26);
	bytes.writeUInt16LE(4, 28);
	bytes.writeBigUInt64LE(referenceOf(superblock.root), 32);
	const { endAt, idsAt, xattrsAt, inodesAt, directoriesAt, fragmentsAt } = superblock;
	for (const [index, at] of [endAt, idsAt, xattrsAt, inodesAt, directoriesAt, fragmentsAt, undefined].entries()) {
		bytes.writeBigUInt64LE(at === undefined ? ABSENT_TABLE : BigInt(at), 40 + index * 8);
	}
	return bytes;
}

export function referenceOf({ block, offset }: MetadataPosition): bigint {
	return (BigInt(block) << 16n) | BigInt(offset);
}

/** squashfs_fs.h SQUASHFS_DIR_TYPE and so on; an inode with more fields has 7 more. */
export const INODE_TYPES = {
	directory: 1,
	file: 2,
	symlink: 3,
	"block-device": 4,
	"character-device": 5,
	fifo: 6,
} as const;
export const EXTENDED_BY = 7;

/** What every inode begins with. */
export interface InodeHead {
	readonly type: number;
	readonly mode: number;
	/** Indexes into the table of ids. */
	readonly uid: number;
	readonly gid: number;
	readonly epoch: number;
	readonly serial: number;
}

const HEAD_BYTES = 16;

/** An inode: its head, then fields of 2, 4 or 8 bytes. */
export function encodeInode(head: InodeHead, fields: readonly Field[], rest: Uint8Array = Buffer.alloc(0)): Buffer {
	const bytes = Buffer.alloc(HEAD_BYTES + fields.reduce((sum, [size]) => sum + size, 0) + rest.length);
	bytes.writeUInt16LE(head.type, 0);
	bytes.writeUInt16LE(head.mode, 2);
	bytes.writeUInt16LE(head.uid, 4);
	bytes.writeUInt16LE(head.gid, 6);
	bytes.writeUInt32LE(head.epoch, 8);
	bytes.writeUInt32LE(head.serial, 12);
	const end = writeFields(bytes, HEAD_BYTES, fields);
	bytes.set(rest, end);
	return bytes;
}

export type Field = readonly [bytes: 2 | 4 | 8, value: number];

export function fieldBytes(fields: readonly Field[]): Buffer {
	const bytes = Buffer.alloc(fields.reduce((sum, [size]) => sum + size, 0));
	writeFields(bytes, 0, fields);
	return bytes;
}

function writeFields(into: Buffer, start: number, fields: readonly Field[]): number {
	let at = start;
	for (const [size, value] of fields) {
		if (size === 8) into.writeBigUInt64LE(BigInt(value), at);
		else into.writeUIntLE(value, at, size);
		at += size;
	}
	return at;
}

/** squashfs_fs.h SQUASHFS_XATTR_USER and so on. There are no others. */
const XATTR_PREFIXES: readonly (readonly [prefix: string, type: number])[] = [
	["user.", 0],
	["trusted.", 1],
	["security.", 2],
];

/** The xattrs of an inode; the name of the one that can't be stored otherwise. */
export function encodeXattrs(xattrs: readonly Xattr[]): Buffer | { readonly refused: string } {
	const parts: Buffer[] = [];
	for (const { name, value } of xattrs.toSorted((left, right) => (left.name < right.name ? -1 : 1))) {
		const known = XATTR_PREFIXES.find(([prefix]) => name.startsWith(prefix));
		if (known === undefined) return { refused: name };
		const [prefix, type] = known;
		const rest = Buffer.from(name.slice(prefix.length), "latin1");
		const head = fieldBytes([
			[2, type],
			[2, rest.length],
		]);
		parts.push(head, rest, fieldBytes([[4, value.length]]), Buffer.from(value));
	}
	return Buffer.concat(parts);
}
