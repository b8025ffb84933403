/** Frames that a guest may send for nothing: after a burst of one second's worth it is read at `perSecond`. */
export class FrameBudget {
	readonly #perSecond: number;
	readonly #nowMs: () => number;
	#left: number;
	#atMs: number;

	constructor(perSecond: number, nowMs: () => number) {
		this.#perSecond = perSecond;
		this.#nowMs = nowMs;
		this.#left = perSecond;
		this.#atMs = nowMs();
	}

	spend(): void {
		this.#left -= 1;
	}

	/** Milliseconds to wait before reading on; 0 to go on at once. */
	get waitMs(): number {
		if (this.#left > 0) return 0;
		const nowMs = this.#nowMs();
		this.#left = Math.min(this.#perSecond, this.#left + ((nowMs - this.#atMs) * this.#perSecond) / 1000);
		this.#atMs = nowMs;
		return this.#left > 0 ? 0 : Math.ceil((1 - this.#left) / (this.#perSecond / 1000));
	}
}
