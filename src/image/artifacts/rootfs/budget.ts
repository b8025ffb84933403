import { formatBytes } from "../../../core/index.ts";
import { Refusal, type SourceLimits } from "./source.ts";

/** What a source has used of its limits, over all of its layers. Each `count…` throws Refusal once it is too much. */
export class Budget {
	readonly limits: SourceLimits;
	#entries = 0;
	#nameBytes = 0;
	#bytes = 0;

	constructor(limits: SourceLimits) {
		this.limits = limits;
	}

	/** An entry that is held in memory, and the bytes of what it is called, leads to and has attached. */
	countEntry(shown: string, nameBytes: number): void {
		this.#entries += 1;
		this.#nameBytes += nameBytes;
		const { maxEntries, maxNameBytes } = this.limits;
		if (this.#entries > maxEntries) throw new Refusal(shown, `there are over ${maxEntries} entries`);
		if (this.#nameBytes > maxNameBytes) throw new Refusal(shown, `the names have over ${formatBytes(maxNameBytes)}`);
	}

	countBytes(shown: string, bytes: number): void {
		this.#bytes += bytes;
		const { maxBytes } = this.limits;
		if (this.#bytes > maxBytes) throw new Refusal(shown, `there are over ${formatBytes(maxBytes)} of data`);
	}

	/** One stream, by what went in and came out so far. */
	checkRatio(shown: string, storedBytes: number, bytes: number): void {
		const { maxRatio, ratioFreeBytes } = this.limits;
		if (bytes <= ratioFreeBytes || bytes <= storedBytes * maxRatio) return;
		throw new Refusal(
			shown,
			`${formatBytes(storedBytes)} of it became ${formatBytes(bytes)}, over ${maxRatio} times as much: a decompression bomb`,
		);
	}
}
