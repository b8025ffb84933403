import { randomBytes } from "node:crypto";
import { type BigIntStats, closeSync, constants, fstatSync, mkdirSync, openSync, readSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { writeAll } from "./disk-file.ts";
import { fail } from "./failures.ts";
import { Refusal } from "./source.ts";
import type { Content } from "./tree.ts";

/** Bytes on disk that contents point into. */
export interface ByteStore {
	readonly sizeBytes: number;
	/** Fills all of it from that position, or throws. */
	read(into: Buffer, offset: number, length: number, position: number): void;
	close(): void;
}

export function spanOf(store: ByteStore, position: number, sizeBytes: number): Content {
	return {
		sizeBytes,
		open: () => {
			let at = position;
			return {
				read: (into, offset, length) => {
					if (at + length > position + sizeBytes) throw new RangeError("read past the end of a file of the tree");
					store.read(into, offset, length, at);
					at += length;
				},
				close: () => {},
			};
		},
	};
}

/** A file of the user's: it must stay as it was when it was opened, which is when its digest was taken. */
export function openSource(path: string, shown: string): ByteStore {
	let file: number;
	try {
		file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException;
		if (code === "ENOENT" || code === "ENOTDIR") throw new Refusal(shown, "it is not there");
		throw fail("rootfs-unreadable", { source: shown, reason: `${code}.` }, error);
	}
	const seen = fstatSync(file, { bigint: true });
	if (!seen.isFile()) {
		closeSync(file);
		throw new Refusal(shown, "it is not a file");
	}
	return {
		sizeBytes: Number(seen.size),
		read: (into, offset, length, position) => {
			const complete = readAll(file, into, offset, length, position);
			if (!complete || !isUnchanged(file, seen)) throw fail("rootfs-changed", { source: shown });
		},
		close: () => closeSync(file),
	};
}

function isUnchanged(file: number, seen: BigIntStats): boolean {
	const now = fstatSync(file, { bigint: true });
	return now.size === seen.size && now.mtimeNs === seen.mtimeNs && now.ctimeNs === seen.ctimeNs;
}

function readAll(file: number, into: Buffer, offset: number, length: number, position: number): boolean {
	for (let done = 0; done < length; ) {
		const bytes = readSync(file, into, offset + done, length - done, position + done);
		if (bytes === 0) return false;
		done += bytes;
	}
	return true;
}

/** Part of a store, as a store. */
export function partOf(store: ByteStore, start: number, sizeBytes: number): ByteStore {
	return {
		sizeBytes,
		read: (into, offset, length, position) => {
			if (position + length > sizeBytes) throw new RangeError("read past the end of a part");
			store.read(into, offset, length, start + position);
		},
		close: () => {},
	};
}

const BLOCK_BYTES = 1 << 20;
/** Of all spools of one source. */
const MAX_MEMORY_BYTES = 2 ** 30;
/** Of what the machine, or the control group, has left. */
const MEMORY_SHARE = 4;

/** Memory that spools may take together before they go to the disk. */
export interface SpoolMemory {
	leftBytes: number;
}

export function spoolMemory(): SpoolMemory {
	return { leftBytes: Math.min(MAX_MEMORY_BYTES, Math.floor(process.availableMemory() / MEMORY_SHARE)) };
}

/**
 * What was decompressed: in memory as long as there is plenty, the rest in a file that lost its name as soon as it was made.
 * Either goes with this process, however it ends.
 */
export class Spool implements ByteStore {
	readonly #directory: string;
	readonly #memory: SpoolMemory;
	readonly #blocks: Buffer[] = [];
	#file: number | undefined;
	#sizeBytes = 0;

	constructor(directory: string, memory: SpoolMemory) {
		this.#directory = directory;
		this.#memory = memory;
	}

	get sizeBytes(): number {
		return this.#sizeBytes;
	}

	append(bytes: Buffer): void {
		for (let done = 0; done < bytes.length; ) {
			const block = this.#blockAt(this.#sizeBytes);
			const count = block === undefined ? bytes.length - done : this.#fill(block, bytes, done);
			if (block === undefined) writeAll(this.#spilled(), bytes.subarray(done), this.#sizeBytes);
			done += count;
			this.#sizeBytes += count;
		}
	}

	read(into: Buffer, offset: number, length: number, position: number): void {
		if (position + length > this.#sizeBytes) throw new RangeError("read past the end of a spool");
		for (let done = 0; done < length; ) {
			const at = position + done;
			const block = this.#blocks[Math.floor(at / BLOCK_BYTES)];
			if (block === undefined) {
				if (!readAll(this.#spilled(), into, offset + done, length - done, at)) throw new RangeError("a spool was cut");
				return;
			}
			const within = at % BLOCK_BYTES;
			done += block.copy(into, offset + done, within, Math.min(BLOCK_BYTES, within + length - done));
		}
	}

	close(): void {
		this.#memory.leftBytes += this.#blocks.length * BLOCK_BYTES;
		this.#blocks.length = 0;
		if (this.#file !== undefined) closeSync(this.#file);
		this.#file = undefined;
	}

	/** The block in memory that has that position, a fresh one where it starts one; undefined once the file has begun. */
	#blockAt(position: number): Buffer | undefined {
		const index = Math.floor(position / BLOCK_BYTES);
		if (index < this.#blocks.length || this.#file !== undefined) return this.#blocks[index];
		if (this.#memory.leftBytes < BLOCK_BYTES) return undefined;
		this.#memory.leftBytes -= BLOCK_BYTES;
		const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
		this.#blocks.push(block);
		return block;
	}

	#fill(block: Buffer, bytes: Buffer, from: number): number {
		return bytes.copy(block, this.#sizeBytes % BLOCK_BYTES, from);
	}

	#spilled(): number {
		if (this.#file === undefined) {
			mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
			const path = join(this.#directory, `spool-${randomBytes(8).toString("hex")}`);
			this.#file = openSync(path, "wx+", 0o600);
			unlinkSync(path);
		}
		return this.#file;
	}
}
