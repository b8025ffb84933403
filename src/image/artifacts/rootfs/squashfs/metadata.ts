import { compressNow, type SquashfsCompression } from "./compression.ts";
import { fieldBytes, METADATA_BYTES, type MetadataPosition, STORED_METADATA } from "./format.ts";

/** A run of metadata blocks, which gathers in memory: where something lies is known when all before it is compressed. */
export class MetadataRun {
	readonly #compression: SquashfsCompression;
	readonly #stored: Buffer[] = [];
	readonly #open = Buffer.alloc(METADATA_BYTES);
	#filled = 0;
	#storedBytes = 0;

	constructor(compression: SquashfsCompression) {
		this.#compression = compression;
	}

	/** Where the next bytes will be. */
	get position(): MetadataPosition {
		return { block: this.#storedBytes, offset: this.#filled };
	}

	write(bytes: Uint8Array): MetadataPosition {
		const { position } = this;
		for (let done = 0; done < bytes.length; ) {
			const count = Math.min(bytes.length - done, METADATA_BYTES - this.#filled);
			this.#open.set(bytes.subarray(done, done + count), this.#filled);
			this.#filled += count;
			done += count;
			if (this.#filled === METADATA_BYTES) this.#close();
		}
		return position;
	}

	/** All of it, as stored. Nothing may be written afterwards. */
	end(): Buffer {
		if (this.#filled > 0) this.#close();
		return Buffer.concat(this.#stored);
	}

	#close(): void {
		const bytes = this.#open.subarray(0, this.#filled);
		const compressed = compressNow(bytes, this.#compression);
		const stored = compressed ?? Buffer.from(bytes);
		const size = stored.length | (compressed === undefined ? STORED_METADATA : 0);
		this.#stored.push(fieldBytes([[2, size]]), stored);
		this.#storedBytes += 2 + stored.length;
		this.#filled = 0;
	}
}

/** A table of entries of one size: blocks of metadata, then the list of where each of them is, to which the superblock points. */
export function encodeTable(
	entries: Buffer,
	tableAt: number,
	compression: SquashfsCompression,
	head: () => Buffer = () => Buffer.alloc(0),
): { readonly bytes: Buffer; readonly listAt: number } {
	const run = new MetadataRun(compression);
	const blocks: number[] = [];
	for (let at = 0; at < entries.length; at += METADATA_BYTES) {
		blocks.push(run.position.block);
		run.write(entries.subarray(at, at + METADATA_BYTES));
	}
	const stored = run.end();
	const list = fieldBytes(blocks.map((block) => [8, tableAt + block] as const));
	return { bytes: Buffer.concat([stored, head(), list]), listAt: tableAt + stored.length };
}
