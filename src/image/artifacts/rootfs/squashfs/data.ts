import { availableParallelism } from "node:os";
import { setImmediate } from "node:timers/promises";
import type { Content } from "../tree.ts";
import { compress, type SquashfsCompression } from "./compression.ts";
import { BLOCK_BYTES, fieldBytes, NO_FRAGMENT, STORED_DATA } from "./format.ts";

/** Where the contents of a file are. */
export interface StoredFile {
	/** Byte of the disk at which its blocks start. */
	start: number;
	/** Of each block as stored; 0 for one of zeros, which is not. */
	readonly blockSizes: number[];
	fragment: number;
	fragmentOffset: number;
	/** Bytes in blocks of zeros. */
	sparseBytes: number;
}

interface Block {
	readonly bytes: Buffer;
	readonly compressed: Promise<Buffer | undefined>;
	readonly onStored: (start: number, size: number) => void;
}

export interface DataOptions {
	readonly compression: SquashfsCompression;
	/** Byte of the disk at which data starts. */
	readonly start: number;
	readonly write: (bytes: Uint8Array, position: number) => void;
	readonly signal?: AbortSignal | undefined;
	readonly progress: (bytes: number) => void;
}

const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** Several blocks are compressed at once, on all cores, and stored in the order in which they came. */
export class DataWriter {
	readonly #options: DataOptions;
	readonly #most = 2 * availableParallelism() + 2;
	readonly #waiting: Block[] = [];
	/** Files shorter than a block, gathered into a block. */
	#tails = Buffer.alloc(BLOCK_BYTES);
	#tailBytes = 0;
	readonly #fragments: { start: number; size: number }[] = [];
	#position: number;

	constructor(options: DataOptions) {
		this.#options = options;
		this.#position = options.start;
	}

	/** Byte of the disk after the data. */
	get position(): number {
		return this.#position;
	}

	get fragments(): number {
		return this.#fragments.length;
	}

	fragmentTable(): Buffer {
		return Buffer.concat(
			this.#fragments.map(({ start, size }) =>
				fieldBytes([
					[8, start],
					[4, size],
					[4, 0],
				]),
			),
		);
	}

	/** What is said of the file is complete after `end`. */
	async add(content: Content): Promise<StoredFile> {
		const file = { start: 0, blockSizes: [], fragment: NO_FRAGMENT, fragmentOffset: 0, sparseBytes: 0 };
		const reader = content.open();
		try {
			if (content.sizeBytes < BLOCK_BYTES) {
				await this.#addTail(content.sizeBytes, file, (into, offset) => reader.read(into, offset, content.sizeBytes));
				return file;
			}
			for (let left = content.sizeBytes; left > 0; left -= BLOCK_BYTES) {
				const bytes = Buffer.allocUnsafeSlow(Math.min(left, BLOCK_BYTES));
				reader.read(bytes, 0, bytes.length);
				await this.#addBlock(bytes, file);
				this.#options.progress(bytes.length);
			}
			return file;
		} finally {
			reader.close();
		}
	}

	async end(): Promise<void> {
		await this.#closeFragment();
		while (this.#waiting.length > 0) await this.#storeOne();
	}

	async #addBlock(bytes: Buffer, file: StoredFile): Promise<void> {
		const index = file.blockSizes.length;
		file.blockSizes.push(0);
		if (bytes.length === BLOCK_BYTES && bytes.equals(ZEROS)) {
			file.sparseBytes += bytes.length;
			return;
		}
		await this.#enqueue(bytes, (start, size) => {
			if (file.start === 0) file.start = start;
			file.blockSizes[index] = size;
		});
	}

	async #addTail(length: number, file: StoredFile, read: (into: Buffer, offset: number) => void): Promise<void> {
		if (length === 0) return;
		if (this.#tailBytes + length > BLOCK_BYTES) await this.#closeFragment();
		read(this.#tails, this.#tailBytes);
		file.fragment = this.#fragments.length;
		file.fragmentOffset = this.#tailBytes;
		this.#tailBytes += length;
		this.#options.progress(length);
	}

	async #closeFragment(): Promise<void> {
		if (this.#tailBytes === 0) return;
		const fragment = { start: 0, size: 0 };
		this.#fragments.push(fragment);
		const bytes = this.#tails.subarray(0, this.#tailBytes);
		this.#tails = Buffer.alloc(BLOCK_BYTES);
		this.#tailBytes = 0;
		await this.#enqueue(bytes, (start, size) => Object.assign(fragment, { start, size }));
	}

	async #enqueue(bytes: Buffer, onStored: Block["onStored"]): Promise<void> {
		const compressed = compress(bytes, this.#options.compression);
		// Awaited in its turn; until then a failure must not count as nobody's.
		compressed.catch(() => {});
		this.#waiting.push({ bytes, compressed, onStored });
		if (this.#waiting.length >= this.#most) await this.#storeOne();
	}

	async #storeOne(): Promise<void> {
		const block = this.#waiting.shift();
		if (block === undefined) return;
		const compressed = await block.compressed;
		if (this.#options.compression === "none") await setImmediate();
		this.#options.signal?.throwIfAborted();
		const stored = compressed ?? block.bytes;
		this.#options.write(stored, this.#position);
		block.onStored(this.#position, stored.length | (compressed === undefined ? STORED_DATA : 0));
		this.#position += stored.length;
	}
}
