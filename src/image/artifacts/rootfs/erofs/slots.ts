/** So far back blocks are kept open for what still fits: neighbours in a folder stay near each other, and writing nearly in order. */
export const OPEN_BLOCKS = 64;

interface OpenBlock {
	readonly start: number;
	used: number;
}

/** Gives out space in blocks: each piece lies in one block, or, when it is longer, starts one. */
export class SlotAllocator {
	readonly #blockBytes: number;
	#open: OpenBlock[] = [];
	#blocks = 0;

	constructor(blockBytes: number) {
		this.#blockBytes = blockBytes;
	}

	/** Blocks given out so far. */
	get blocks(): number {
		return this.#blocks;
	}

	/** Offset of the piece: in the fullest open block that has room for it, else in a fresh one. */
	take(bytes: number): number {
		let best: OpenBlock | undefined;
		for (const block of this.#open) {
			if (block.used + bytes <= this.#blockBytes && (best === undefined || block.used > best.used)) best = block;
		}
		best ??= this.#fresh(bytes);
		const offset = best.start + best.used;
		best.used += bytes;
		return offset;
	}

	#fresh(bytes: number): OpenBlock {
		const start = this.#blocks * this.#blockBytes;
		const count = Math.max(1, Math.ceil(bytes / this.#blockBytes));
		this.#blocks += count;
		const block = { start, used: 0 };
		const oldest = start - OPEN_BLOCKS * this.#blockBytes;
		this.#open = this.#open.filter((other) => other.start > oldest);
		// The blocks of a long piece are its own.
		if (count === 1) this.#open.push(block);
		return block;
	}
}
