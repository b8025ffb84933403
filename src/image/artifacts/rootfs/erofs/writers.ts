import { writeAll } from "../disk-file.ts";
import { BLOCK_BYTES } from "./format.ts";
import { OPEN_BLOCKS } from "./slots.ts";

/** Large enough that a system call costs little beside the copying, small enough to stay in the processor's cache for a while. */
const BUFFER_BYTES = 1 << 20;

/** Shorter runs of zeros are written: a hole costs a system call. */
const HOLE_BYTES = 32 * 1024;
const ZEROS = Buffer.alloc(HOLE_BYTES);

/** Leaves out long runs of zeros, in a file that is given its length in the end. */
function writeAroundHoles(file: number, bytes: Buffer, position: number): void {
	let start = 0;
	for (let at = 0; at < bytes.length; at += HOLE_BYTES) {
		const end = Math.min(at + HOLE_BYTES, bytes.length);
		if (bytes.compare(ZEROS, 0, end - at, at, end) !== 0) continue;
		writeAll(file, bytes.subarray(start, at), position + start);
		start = end;
	}
	writeAll(file, bytes.subarray(start), position + start);
}

/** Writes from one position on, in order. Every piece ends up on whole blocks by `pad`. */
export class AppendingWriter {
	readonly #file: number;
	readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
	#position: number;
	#filled = 0;

	constructor(file: number, position: number) {
		this.#file = file;
		this.#position = position;
	}

	/** Whether enough has gathered to be written. */
	get isBehind(): boolean {
		return this.#filled > BUFFER_BYTES / 2;
	}

	/** Where the next bytes go: at most `wanted`, at least one. Say by `used` how many there are. */
	room(wanted: number): { readonly buffer: Buffer; readonly at: number; readonly bytes: number } {
		if (this.#filled === BUFFER_BYTES) this.flush();
		return { buffer: this.#buffer, at: this.#filled, bytes: Math.min(wanted, BUFFER_BYTES - this.#filled) };
	}

	used(bytes: number): void {
		this.#filled += bytes;
	}

	pad(): void {
		const end = Math.ceil(this.#filled / BLOCK_BYTES) * BLOCK_BYTES;
		this.#buffer.fill(0, this.#filled, end);
		this.#filled = end;
	}

	writeBlocks(bytes: Uint8Array): void {
		for (let done = 0; done < bytes.length; ) {
			const { buffer, at, bytes: count } = this.room(bytes.length - done);
			buffer.set(bytes.subarray(done, done + count), at);
			this.used(count);
			done += count;
		}
		this.pad();
	}

	flush(): void {
		// Only whole blocks: the buffer starts at a block, and so does the next one.
		const whole = this.#filled - (this.#filled % BLOCK_BYTES);
		writeAroundHoles(this.#file, this.#buffer.subarray(0, whole), this.#position);
		this.#buffer.copyWithin(0, whole, this.#filled);
		this.#position += whole;
		this.#filled -= whole;
	}

	end(): void {
		this.pad();
		this.flush();
	}
}

/** 64-byte inode and xattrs of 12 + 4 * 65534 bytes. */
const LONGEST_PIECE_BLOCKS = 65;
/** Pieces come nearly in order: never further back than the blocks that the allocator keeps open. */
const LAG_BYTES = (OPEN_BLOCKS + LONGEST_PIECE_BLOCKS) * BLOCK_BYTES;

/** Writes a stretch of the file that is filled nearly in order. What nobody writes is zero. */
export class SlidingWriter {
	readonly #file: number;
	readonly #end: number;
	readonly #buffer = Buffer.alloc(BUFFER_BYTES);
	#start: number;
	/** Offset in the file up to which pieces have come. */
	#reached: number;

	constructor(file: number, start: number, end: number) {
		this.#file = file;
		this.#start = start;
		this.#reached = start;
		this.#end = end;
	}

	/** Where the piece at that offset of the file goes. It stays there until the next call. */
	room(offset: number, bytes: number): { readonly buffer: Buffer; readonly at: number } {
		if (offset + bytes - this.#start > BUFFER_BYTES) this.#slide();
		if (offset < this.#start || offset + bytes - this.#start > BUFFER_BYTES) {
			throw new RangeError(`a piece at ${offset} is out of the window that starts at ${this.#start}`);
		}
		this.#reached = Math.max(this.#reached, offset + bytes);
		return { buffer: this.#buffer, at: offset - this.#start };
	}

	end(): void {
		writeAll(this.#file, this.#buffer.subarray(0, this.#end - this.#start), this.#start);
	}

	#slide(): void {
		const lagging = this.#reached - LAG_BYTES;
		const from = Math.max(this.#start, lagging - (lagging % BLOCK_BYTES));
		const by = from - this.#start;
		writeAll(this.#file, this.#buffer.subarray(0, by), this.#start);
		this.#buffer.copyWithin(0, by);
		this.#buffer.fill(0, BUFFER_BYTES - by);
		this.#start = from;
	}
}
