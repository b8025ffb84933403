const BLOCK_BYTES = 65_536;

/**
 * Bytes that wait, in as few buffers as they need: a peer that sends one byte at a time must not cost a buffer, or the 64 KiB
 * that it came in, for each.
 */
export class ByteQueue {
	/** All but the last are whole; of the last, `#used` bytes are. */
	readonly #blocks: Buffer[] = [];
	#tail: Buffer | null = null;
	#used = 0;
	#length = 0;

	get length(): number {
		return this.#length;
	}

	push(bytes: Buffer): void {
		this.#length += bytes.length;
		let rest = bytes;
		while (rest.length > 0) {
			this.#tail ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
			const taken = rest.copy(this.#tail, this.#used);
			this.#used += taken;
			rest = rest.subarray(taken);
			if (this.#used === BLOCK_BYTES) this.#seal(this.#tail);
		}
	}

	/** At most `most` bytes from the front; null when it is empty. */
	shift(most: number): Buffer | null {
		if (this.#blocks.length === 0 && this.#tail !== null) this.#seal(this.#tail.subarray(0, this.#used));
		const first = this.#blocks[0];
		if (first === undefined || most <= 0) return null;
		const taken = first.subarray(0, most);
		if (taken.length === first.length) this.#blocks.shift();
		else this.#blocks[0] = first.subarray(taken.length);
		this.#length -= taken.length;
		return taken;
	}

	clear(): void {
		this.#blocks.length = 0;
		this.#tail = null;
		this.#used = 0;
		this.#length = 0;
	}

	#seal(block: Buffer): void {
		this.#blocks.push(block);
		this.#tail = null;
		this.#used = 0;
	}
}
