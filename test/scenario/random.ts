/** A small seeded generator (mulberry32): the same seed gives the same schedule on every machine. */
export class Random {
	#state: number;

	constructor(seed: number) {
		this.#state = seed >>> 0;
	}

	/** At least 0, below 1. */
	next(): number {
		this.#state = (this.#state + 0x6d2b79f5) >>> 0;
		let mixed = this.#state;
		mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
	}

	below(limit: number): number {
		return Math.floor(this.next() * limit);
	}

	/** True so often out of a hundred. */
	percent(chance: number): boolean {
		return this.next() * 100 < chance;
	}

	pick<T>(items: readonly T[]): T | undefined {
		return items[this.below(items.length)];
	}
}
