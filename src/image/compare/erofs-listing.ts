import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { Digest } from "../../core/index.ts";
import {
	type EntryKind,
	type ListingOptions,
	MAX_DEPTH,
	MAX_ENTRIES,
	type TreeEntry,
	type TreeListing,
	UnreadableDisk,
} from "./entry.ts";

const BLOCK = 4096;
const SUPERBLOCK = 1024;
const MAGIC = 0xe0f5e1e2;
/** A link's target and a folder's entries are read whole. */
const MAX_WHOLE_BYTES = 256 * 2 ** 20;
const CHUNK_BYTES = 2 ** 20;
const PAUSE_BYTES = 16 * 2 ** 20;

const KINDS: ReadonlyMap<number, EntryKind> = new Map([
	[0o01, "fifo"],
	[0o02, "character-device"],
	[0o04, "directory"],
	[0o06, "block-device"],
	[0o10, "file"],
	[0o12, "symlink"],
	[0o14, "socket"],
]);
const XATTR_PREFIXES: ReadonlyMap<number, string> = new Map([
	[1, "user."],
	[2, "system.posix_acl_access"],
	[3, "system.posix_acl_default"],
	[4, "trusted."],
	[6, "security."],
]);

/** What is on an uncompressed erofs, by fs/erofs/erofs_fs.h of Linux. Throws UnreadableDisk. */
export async function listErofs(path: string, options: ListingOptions): Promise<TreeListing> {
	const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
	try {
		return await new Reading(file, options.signal).list();
	} finally {
		closeSync(file);
	}
}

interface Inode {
	readonly kind: EntryKind;
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
	readonly sizeBytes: number;
	/** Block of the data, or the device number. */
	readonly location: number;
	/** Bytes of the data that stand behind the inode. */
	readonly tailBytes: number;
	readonly tailAt: number;
	readonly xattrs: Readonly<Record<string, string>>;
}

class Reading {
	readonly #file: number;
	readonly #diskBytes: number;
	readonly #signal: AbortSignal | undefined;
	readonly #listing = new Map<string, TreeEntry>();
	readonly #known = new Map<number, TreeEntry>();
	readonly #folders = new Set<number>();
	#sinceLook = 0;

	constructor(file: number, signal: AbortSignal | undefined) {
		this.#file = file;
		this.#diskBytes = fstatSync(file).size;
		this.#signal = signal;
	}

	async list(): Promise<TreeListing> {
		const superblock = this.#bytes(SUPERBLOCK, 128);
		if (superblock.readUInt32LE(0) !== MAGIC) throw new UnreadableDisk("it is no erofs");
		if (superblock.readUInt8(12) !== 12) throw new UnreadableDisk("its blocks are not of 4096 bytes");
		if (superblock.readUInt32LE(0x50) !== 0) throw new UnreadableDisk("it uses features that Vouch does not write");
		const metaStart = superblock.readUInt32LE(0x28) * BLOCK;
		await this.#walk(superblock.readUInt16LE(14), metaStart);
		return this.#listing;
	}

	async #walk(root: number, metaStart: number): Promise<void> {
		const waiting = [{ path: "", number: root, depth: 0 }];
		for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
			const { path, number, depth } = next;
			const inode = this.#inode(metaStart + number * 32);
			if (this.#listing.size >= MAX_ENTRIES) throw new UnreadableDisk("it has too many entries");
			this.#listing.set(path, this.#known.get(number) ?? (await this.#entry(number, inode)));
			if (inode.kind !== "directory") continue;
			if (this.#folders.has(number) || depth > MAX_DEPTH) throw new UnreadableDisk("its folders go round in a circle");
			this.#folders.add(number);
			for (const { name, number: inner } of namesIn(this.#whole(inode))) {
				if (name === "." || name === "..") continue;
				waiting.push({ path: path === "" ? name : `${path}/${name}`, number: inner, depth: depth + 1 });
			}
		}
	}

	async #entry(number: number, inode: Inode): Promise<TreeEntry> {
		const { kind, mode, uid, gid, sizeBytes, location, xattrs } = inode;
		const isDevice = kind === "character-device" || kind === "block-device";
		const entry: TreeEntry = {
			kind,
			mode,
			uid,
			gid,
			// A folder's size says how it is packed, not what is in it.
			sizeBytes: kind === "directory" ? 0 : sizeBytes,
			contentDigest: kind === "file" ? await this.#digest(inode) : null,
			target: kind === "symlink" ? this.#whole(inode).toString("latin1") : null,
			device: isDevice ? deviceText(location) : null,
			xattrs,
		};
		this.#known.set(number, entry);
		return entry;
	}

	#inode(at: number): Inode {
		const head = this.#bytes(at, 64, "may-end");
		if (head.length < 32) throw new UnreadableDisk("an inode lies outside of it");
		const format = head.readUInt16LE(0);
		const extended = (format & 1) === 1;
		if (extended && head.length < 64) throw new UnreadableDisk("an inode lies outside of it");
		const layout = format >> 1;
		const fullMode = head.readUInt16LE(4);
		const kind = KINDS.get(fullMode >> 12);
		if (kind === undefined) throw new UnreadableDisk("an inode is of an unknown kind");
		const count = head.readUInt16LE(2);
		const xattrBytes = count === 0 ? 0 : 12 + (count - 1) * 4;
		const sizeBytes = extended ? Number(head.readBigUInt64LE(8)) : head.readUInt32LE(8);
		const holdsData = kind === "file" || kind === "directory" || kind === "symlink";
		if (holdsData && layout !== 0 && layout !== 2) throw new UnreadableDisk("a file is compressed");
		const bodyAt = at + (extended ? 64 : 32);
		return {
			kind,
			mode: fullMode & 0o7777,
			uid: extended ? head.readUInt32LE(24) : head.readUInt16LE(24),
			gid: extended ? head.readUInt32LE(28) : head.readUInt16LE(26),
			sizeBytes,
			location: head.readUInt32LE(16),
			tailBytes: holdsData && layout === 2 ? sizeBytes % BLOCK : 0,
			tailAt: bodyAt + xattrBytes,
			xattrs: xattrBytes === 0 ? {} : xattrsIn(this.#bytes(bodyAt, xattrBytes)),
		};
	}

	/** The stretches of the disk that a file's bytes lie in. */
	#stretches({ sizeBytes, tailBytes, tailAt, location }: Inode): readonly (readonly [number, number])[] {
		const blockBytes = sizeBytes - tailBytes;
		if (sizeBytes > this.#diskBytes) throw new UnreadableDisk("a file is larger than the disk");
		return [
			[location * BLOCK, blockBytes],
			[tailAt, tailBytes],
		].filter(([, bytes]) => bytes !== 0) as [number, number][];
	}

	#whole(inode: Inode): Buffer {
		if (inode.sizeBytes > MAX_WHOLE_BYTES) throw new UnreadableDisk("a folder or link is too large");
		return Buffer.concat(this.#stretches(inode).map(([at, bytes]) => this.#bytes(at, bytes)));
	}

	async #digest(inode: Inode): Promise<Digest> {
		const hash = createHash("sha256");
		for (const [start, bytes] of this.#stretches(inode)) {
			for (let done = 0; done < bytes; done += CHUNK_BYTES) {
				hash.update(this.#bytes(start + done, Math.min(CHUNK_BYTES, bytes - done)));
				await this.#look(CHUNK_BYTES);
			}
		}
		await this.#look(BLOCK);
		return `sha256:${hash.digest("hex")}` as Digest;
	}

	/** Lets everything else in this process have its turn. */
	async #look(bytes: number): Promise<void> {
		this.#sinceLook += bytes;
		if (this.#sinceLook < PAUSE_BYTES) return;
		this.#sinceLook = 0;
		await setImmediate();
		this.#signal?.throwIfAborted();
	}

	#bytes(at: number, length: number, end: "whole" | "may-end" = "whole"): Buffer {
		const bytes = Buffer.allocUnsafe(length);
		const read = at > this.#diskBytes ? 0 : readSync(this.#file, bytes, 0, length, at);
		if (end === "whole" && read !== length) throw new UnreadableDisk("something in it lies outside of it");
		return bytes.subarray(0, read);
	}
}

/** new_encode_dev() of include/linux/kdev_t.h. */
function deviceText(device: number): string {
	return `${(device >> 8) & 0xfff}:${(device & 0xff) | ((device >>> 12) & 0xfff00)}`;
}

interface Name {
	readonly name: string;
	readonly number: number;
}

function namesIn(data: Buffer): readonly Name[] {
	const names: Name[] = [];
	for (let start = 0; start < data.length; start += BLOCK) {
		const block = data.subarray(start, start + BLOCK);
		const count = block.length < 12 ? 0 : block.readUInt16LE(8) / 12;
		if (!Number.isInteger(count) || count < 1 || count * 12 > block.length)
			throw new UnreadableDisk("a folder is damaged");
		for (let index = 0; index < count; index += 1) {
			const at = index * 12;
			const nameAt = block.readUInt16LE(at + 8);
			const next = index + 1 < count ? block.readUInt16LE(at + 20) : block.length;
			const bytes = block.subarray(nameAt, next);
			const zero = bytes.indexOf(0);
			const name = bytes.subarray(0, zero === -1 ? bytes.length : zero).toString("latin1");
			if (name === "" || name.includes("/")) throw new UnreadableDisk("a name in it is none");
			names.push({ name, number: Number(block.readBigUInt64LE(at)) });
		}
	}
	return names;
}

function xattrsIn(bytes: Buffer): Readonly<Record<string, string>> {
	const xattrs: Record<string, string> = {};
	for (let at = 12; at + 4 <= bytes.length; ) {
		const [nameBytes, index, valueBytes] = [bytes.readUInt8(at), bytes.readUInt8(at + 1), bytes.readUInt16LE(at + 2)];
		const name = `${XATTR_PREFIXES.get(index) ?? `${index}.`}${bytes.toString("latin1", at + 4, at + 4 + nameBytes)}`;
		const valueAt = at + 4 + nameBytes;
		xattrs[name] = bytes.subarray(valueAt, valueAt + valueBytes).toString("hex");
		at = Math.ceil((valueAt + valueBytes) / 4) * 4;
	}
	return xattrs;
}
