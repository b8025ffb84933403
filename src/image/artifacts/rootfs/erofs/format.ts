/** The on-disk format of erofs as Linux 5.4 and later read it: fs/erofs/erofs_fs.h. Uncompressed, 4096-byte blocks, no shared xattrs. */
import type { Xattr } from "../tree.ts";

export const BLOCK_BYTES = 4096;
/** Inodes start at multiples of this; an inode's number is its offset divided by it. */
export const SLOT_BYTES = 32;
export const COMPACT_INODE_BYTES = 32;
export const EXTENDED_INODE_BYTES = 64;
export const DIRENT_BYTES = 12;

const SUPERBLOCK_OFFSET = 1024;
const MAGIC = 0xe0f5e1e2;
const FEATURE_SB_CHECKSUM = 1;
const FEATURE_MTIME = 2;
const BLOCK_BITS = 12;

export type DataLayout = typeof FLAT_PLAIN | typeof FLAT_INLINE;
/** Whole blocks, the last one padded. */
export const FLAT_PLAIN = 0;
/** All but the last part in whole blocks; that part right after the inode and its xattrs, in one block. */
export const FLAT_INLINE = 2;

export interface Superblock {
	readonly rootNumber: number;
	readonly inodes: number;
	readonly epoch: number;
	readonly blocks: number;
	/** 16 bytes. */
	readonly uuid: Uint8Array;
}

/** The first block: nothing, the superblock, nothing. */
export function encodeFirstBlock(superblock: Superblock): Buffer {
	const block = Buffer.alloc(BLOCK_BYTES);
	const bytes = block.subarray(SUPERBLOCK_OFFSET);
	bytes.writeUInt32LE(MAGIC, 0x00);
	bytes.writeUInt32LE(FEATURE_SB_CHECKSUM | FEATURE_MTIME, 0x08);
	bytes.writeUInt8(BLOCK_BITS, 0x0c);
	bytes.writeUInt16LE(superblock.rootNumber, 0x0e);
	bytes.writeBigUInt64LE(BigInt(superblock.inodes), 0x10);
	bytes.writeBigInt64LE(BigInt(superblock.epoch), 0x18);
	bytes.writeUInt32LE(superblock.blocks, 0x24);
	// Inode numbers count from the start of the disk, so that none is 0: readdir(3) leaves out entries numbered 0.
	bytes.writeUInt32LE(0, 0x28);
	bytes.set(superblock.uuid, 0x30);
	// erofs_superblock_csum_verify(): over the rest of the block, the field itself being 0, without the final inversion.
	bytes.writeUInt32LE(crc32c(bytes), 0x04);
	return block;
}

const S_IFMT = { directory: 0o040000, file: 0o100000, symlink: 0o120000, fifo: 0o010000 } as const;
const S_IFDEV = { "character-device": 0o020000, "block-device": 0o060000 } as const;
export const TYPE_BITS = { ...S_IFMT, ...S_IFDEV } as const;
/** include/linux/fs_types.h FT_*. */
export const FILE_TYPES = {
	file: 1,
	directory: 2,
	"character-device": 3,
	"block-device": 4,
	fifo: 5,
	symlink: 7,
} as const;

export interface InodeFields {
	readonly layout: DataLayout;
	/** Type and permissions. */
	readonly mode: number;
	readonly links: number;
	readonly sizeBytes: number;
	/** First block of the data, or the device number. */
	readonly location: number;
	readonly serial: number;
	readonly uid: number;
	readonly gid: number;
	readonly mtimeS: number;
	readonly mtimeNs: number;
	readonly xattrBytes: number;
}

const EXTENDED = 1;

/** Writes an inode at an offset; `size` says which of the two forms. */
export function encodeInode(into: Buffer, at: number, inode: InodeFields, size: number): void {
	const extended = size === EXTENDED_INODE_BYTES;
	into.writeUInt16LE((inode.layout << 1) | (extended ? EXTENDED : 0), at);
	into.writeUInt16LE(xattrCount(inode.xattrBytes), at + 0x02);
	into.writeUInt16LE(inode.mode, at + 0x04);
	into.writeUInt32LE(inode.location, at + 0x10);
	into.writeUInt32LE(inode.serial, at + 0x14);
	if (!extended) {
		into.writeUInt16LE(inode.links, at + 0x06);
		into.writeUInt32LE(inode.sizeBytes, at + 0x08);
		into.writeUInt16LE(inode.uid, at + 0x18);
		into.writeUInt16LE(inode.gid, at + 0x1a);
		return;
	}
	into.writeBigUInt64LE(BigInt(inode.sizeBytes), at + 0x08);
	into.writeUInt32LE(inode.uid, at + 0x18);
	into.writeUInt32LE(inode.gid, at + 0x1c);
	into.writeBigInt64LE(BigInt(inode.mtimeS), at + 0x20);
	into.writeUInt32LE(inode.mtimeNs, at + 0x28);
	into.writeUInt32LE(inode.links, at + 0x2c);
}

const XATTR_HEADER_BYTES = 12;
const XATTR_UNIT_BYTES = 4;
const MAX_XATTR_COUNT = 0xffff;

/** erofs_xattr_ibody_size(), the other way round. */
function xattrCount(bytes: number): number {
	return bytes === 0 ? 0 : (bytes - XATTR_HEADER_BYTES) / XATTR_UNIT_BYTES + 1;
}

/** Prefixes that have a number. What has none, Linux has no handler for, and no file system keeps it. */
const XATTR_PREFIXES: readonly (readonly [prefix: string, index: number])[] = [
	["user.", 1],
	["system.posix_acl_access", 2],
	["system.posix_acl_default", 3],
	["trusted.", 4],
	["security.", 6],
];

/** The inline xattrs of an inode, or what can't be stored. */
export function encodeXattrs(xattrs: readonly Xattr[]): Buffer | { readonly refused: string } {
	if (xattrs.length === 0) return Buffer.alloc(0);
	const parts = [Buffer.alloc(XATTR_HEADER_BYTES)];
	for (const { name, value } of xattrs.toSorted((left, right) => (left.name < right.name ? -1 : 1))) {
		const [prefix, index] = XATTR_PREFIXES.find(([start]) => name.startsWith(start)) ?? ["", 0];
		const rest = name.slice(prefix.length);
		if (index === 0 || value.length > 0xffff || rest.length > 0xff)
			return { refused: `its xattr ${name} does not fit` };
		const entry = Buffer.alloc(Math.ceil((4 + rest.length + value.length) / XATTR_UNIT_BYTES) * XATTR_UNIT_BYTES);
		entry.writeUInt8(rest.length, 0);
		entry.writeUInt8(index, 1);
		entry.writeUInt16LE(value.length, 2);
		entry.write(rest, 4, "latin1");
		entry.set(value, 4 + rest.length);
		parts.push(entry);
	}
	const bytes = Buffer.concat(parts);
	return xattrCount(bytes.length) > MAX_XATTR_COUNT ? { refused: "it has too many xattrs" } : bytes;
}

const CRC32C_POLYNOMIAL = 0x82f63b78;

/** CRC-32C with all bits set at the start and no inversion at the end, as crc32c() of the kernel. */
export function crc32c(bytes: Uint8Array): number {
	let crc = 0xffff_ffff;
	for (const byte of bytes) {
		crc ^= byte;
		for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ CRC32C_POLYNOMIAL : crc >>> 1;
	}
	return crc >>> 0;
}
