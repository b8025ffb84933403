/** A reader of erofs for tests: written from the format's documentation, not from the writer, and it believes nothing. */
import assert from "node:assert/strict";
import {
	bytesContent,
	type DirectoryNode,
	directoryNode,
	type LeafNode,
	type NodeMeta,
	type RootfsTree,
	type Xattr,
} from "../tree.ts";

const BLOCK = 4096;
const PREFIXES = new Map([
	[1, "user."],
	[2, "system.posix_acl_access"],
	[3, "system.posix_acl_default"],
	[4, "trusted."],
	[6, "security."],
]);
const [FIFO, CHARACTER, DIRECTORY, BLOCK_DEVICE, REGULAR, LINK] = [0o01, 0o02, 0o04, 0o06, 0o10, 0o12];
const DIRENT_TYPES = new Map([
	[REGULAR, 1],
	[DIRECTORY, 2],
	[CHARACTER, 3],
	[BLOCK_DEVICE, 4],
	[FIFO, 5],
	[LINK, 7],
]);

interface Inode {
	readonly type: number;
	readonly meta: NodeMeta;
	readonly links: number;
	readonly data: Buffer;
	readonly device: number;
}

/** The tree of a disk. Fails an assertion where a kernel would see damage. */
export function readErofs(disk: Buffer, epoch: number): RootfsTree {
	const superblock = disk.subarray(1024, 1024 + 128);
	assert.equal(superblock.readUInt32LE(0), 0xe0f5e1e2);
	assert.equal(superblock.readUInt8(12), 12, "4096-byte blocks");
	assert.equal(superblock.readUInt32LE(0x50), 0, "nothing that an older kernel does not know");
	assert.equal(superblock.readUInt32LE(0x24) * BLOCK, disk.length, "as many blocks as it says");
	assert.equal(superblock.readBigUInt64LE(0x18), BigInt(epoch));
	const reading = new Reading(disk, epoch);
	const root = reading.directory(superblock.readUInt16LE(14), undefined, undefined);
	assert.equal(superblock.readBigUInt64LE(16), BigInt(reading.inodes), "as many inodes as it says");
	reading.checkLinks();
	return { root };
}

class Reading {
	readonly #disk: Buffer;
	readonly #epoch: number;
	readonly #leaves = new Map<number, LeafNode>();
	readonly #directories = new Set<number>();
	readonly #links = new Map<number, { claimed: number; found: number }>();
	readonly #serials = new Set<number>();

	constructor(disk: Buffer, epoch: number) {
		this.#disk = disk;
		this.#epoch = epoch;
	}

	get inodes(): number {
		return this.#links.size;
	}

	checkLinks(): void {
		for (const [number, { claimed, found }] of this.#links) assert.equal(claimed, found, `links of inode ${number}`);
	}

	directory(number: number, parent: number | undefined, known: Inode | undefined): DirectoryNode {
		assert.ok(!this.#directories.has(number), "a folder has one name");
		this.#directories.add(number);
		const inode = known ?? this.#inode(number);
		assert.equal(inode.type, DIRECTORY);
		const node = directoryNode(inode.meta);
		const entries = entriesIn(inode.data);
		const names = entries.map(({ name }) => name);
		assert.deepEqual([...names].sort(), names, "sorted");
		const dots = new Map(entries.map(({ name, number: inner }) => [name, inner]));
		assert.equal(dots.get("."), number);
		assert.equal(dots.get(".."), parent ?? number);
		this.#link(number, inode, 2);
		for (const { name, number: inner, type } of entries) {
			if (name === "." || name === "..") continue;
			const child = this.#inode(inner);
			assert.equal(type, DIRENT_TYPES.get(child.type));
			const isFolder = child.type === DIRECTORY;
			if (isFolder) this.#link(number, inode, 1);
			else this.#link(inner, child, 1);
			node.children.set(name, isFolder ? this.directory(inner, number, child) : this.#leaf(inner, child));
		}
		return node;
	}

	#link(number: number, { links }: Inode, more: number): void {
		const counted = this.#links.get(number) ?? { claimed: links, found: 0 };
		counted.found += more;
		this.#links.set(number, counted);
	}

	#leaf(number: number, inode: Inode): LeafNode {
		const leaf = this.#leaves.get(number) ?? leafOf(inode);
		this.#leaves.set(number, leaf);
		return leaf;
	}

	#inode(number: number): Inode {
		const disk = this.#disk;
		const at = number * 32;
		const format = disk.readUInt16LE(at);
		const extended = (format & 1) === 1;
		const head = extended ? 64 : 32;
		assert.ok(at % BLOCK <= BLOCK - head, "an inode is in one block");
		const count = disk.readUInt16LE(at + 2);
		const xattrBytes = count === 0 ? 0 : 12 + (count - 1) * 4;
		const mode = disk.readUInt16LE(at + 4);
		const size = extended ? Number(disk.readBigUInt64LE(at + 8)) : disk.readUInt32LE(at + 8);
		const type = mode >> 12;
		const holdsData = [REGULAR, DIRECTORY, LINK].includes(type);
		const location = disk.readUInt32LE(at + 16);
		const serial = disk.readUInt32LE(at + 20);
		if (!this.#links.has(number)) assert.ok(!this.#serials.has(serial), "serials are unique");
		this.#serials.add(serial);
		const owner = extended
			? { uid: disk.readUInt32LE(at + 24), gid: disk.readUInt32LE(at + 28) }
			: { uid: disk.readUInt16LE(at + 24), gid: disk.readUInt16LE(at + 26) };
		const mtimeS = extended ? Number(disk.readBigInt64LE(at + 32)) : this.#epoch;
		const mtimeNs = extended ? disk.readUInt32LE(at + 40) : 0;
		const xattrs = xattrsIn(disk.subarray(at + head, at + head + xattrBytes));
		return {
			type,
			meta: { mode: mode & 0o7777, ...owner, mtimeS, mtimeNs, xattrs },
			links: extended ? disk.readUInt32LE(at + 44) : disk.readUInt16LE(at + 6),
			data: holdsData ? this.#data(at + head + xattrBytes, format >> 1, location, size) : Buffer.alloc(0),
			device: location,
		};
	}

	#data(tailAt: number, layout: number, block: number, size: number): Buffer {
		assert.ok(layout === 0 || layout === 2, "flat");
		const tail = layout === 2 ? size % BLOCK : 0;
		assert.ok(layout === 0 || tail > 0, "a tail that is there");
		assert.ok((tailAt % BLOCK) + tail <= BLOCK, "a tail in one block");
		const start = block * BLOCK;
		assert.ok(start + (size - tail) <= this.#disk.length);
		return Buffer.concat([this.#disk.subarray(start, start + size - tail), this.#disk.subarray(tailAt, tailAt + tail)]);
	}
}

function leafOf({ type, meta, data, device }: Inode): LeafNode {
	const numbers = { major: (device >> 8) & 0xfff, minor: (device & 0xff) | ((device >>> 12) & 0xfff00) };
	if (type === REGULAR) return { kind: "file", meta, content: bytesContent(data) };
	if (type === LINK) return { kind: "symlink", meta, target: data.toString("latin1") };
	if (type === CHARACTER) return { kind: "character-device", meta, ...numbers };
	if (type === BLOCK_DEVICE) return { kind: "block-device", meta, ...numbers };
	assert.equal(type, FIFO);
	return { kind: "fifo", meta };
}

interface Entry {
	readonly name: string;
	readonly number: number;
	readonly type: number;
}

function entriesIn(data: Buffer): readonly Entry[] {
	const entries: Entry[] = [];
	for (let start = 0; start < data.length; start += BLOCK) {
		const block = data.subarray(start, start + BLOCK);
		const count = block.readUInt16LE(8) / 12;
		assert.ok(Number.isInteger(count) && count > 0);
		for (let index = 0; index < count; index += 1) {
			const at = index * 12;
			const nameAt = block.readUInt16LE(at + 8);
			const next = index + 1 < count ? block.readUInt16LE(at + 20) : block.length;
			const name = block.subarray(nameAt, next);
			const end = index + 1 < count ? name.length : name.indexOf(0);
			const text = name.subarray(0, end === -1 ? name.length : end).toString("latin1");
			assert.ok(text.length > 0 && text.length <= 255);
			entries.push({ name: text, number: Number(block.readBigUInt64LE(at)), type: block.readUInt8(at + 10) });
		}
	}
	return entries;
}

function xattrsIn(bytes: Buffer): readonly Xattr[] {
	const xattrs: Xattr[] = [];
	for (let at = 12; at < bytes.length; ) {
		const [nameBytes, index, valueBytes] = [bytes.readUInt8(at), bytes.readUInt8(at + 1), bytes.readUInt16LE(at + 2)];
		const name = bytes.toString("latin1", at + 4, at + 4 + nameBytes);
		const valueAt = at + 4 + nameBytes;
		assert.ok(PREFIXES.has(index));
		xattrs.push({
			name: `${PREFIXES.get(index)}${name}`,
			value: Buffer.from(bytes.subarray(valueAt, valueAt + valueBytes)),
		});
		at = Math.ceil((valueAt + valueBytes) / 4) * 4;
	}
	return xattrs;
}
