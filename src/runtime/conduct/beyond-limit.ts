import { createWriteStream, rmSync } from "node:fs";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { type Hidden, Masking } from "./masking.ts";
import { send } from "./send.ts";

/** What becomes of output beyond the limit of a command. */
export interface Kept {
	/** So many of the last bytes of both streams together wait for their end: should no more come, nothing is left out. */
	readonly reservedBytes: number;
	/** Otherwise so many bytes of each stream's end are kept, behind a line that says what is missing. */
	readonly tailBytes: number;
	/** So many bytes of each stream are kept in a file of their own. */
	readonly overflowBytes: number;
}

/** Of each stream's end, at most. */
const TAIL_BYTES = 16 * 1024;
const GAP_BYTES = 64;
/** Under that there is no room for an end. */
const SMALL_LIMIT = 4096;

/** Ends the command; what is beyond is kept nowhere. */
export const KEPT_NOTHING: Kept = { reservedBytes: 0, tailBytes: 0, overflowBytes: 0 };

export function keptOf(limitBytes: number, overflowBytes: number): Kept {
	const tailBytes = limitBytes < SMALL_LIMIT ? 0 : Math.min(TAIL_BYTES, Math.floor(limitBytes / 16));
	return { tailBytes, reservedBytes: tailBytes === 0 ? 0 : 2 * (tailBytes + GAP_BYTES), overflowBytes };
}

/** What of one stream comes beyond its limit. The file, with secrets masked, is made when there is something to write. */
export class BeyondLimit {
	readonly #path: string;
	readonly #hidden: Hidden;
	readonly #kept: Kept;
	/** Counts both streams. */
	readonly #both: { beyond: number };
	#end: Buffer = Buffer.alloc(0);
	#bytes = 0;
	#file: { readonly masked: Writable; readonly written: Promise<void> } | undefined;

	constructor(path: string, hidden: Hidden, kept: Kept, both: { beyond: number }) {
		this.#path = path;
		this.#hidden = hidden;
		this.#kept = kept;
		this.#both = both;
	}

	async take(chunk: Buffer): Promise<void> {
		const { reservedBytes, overflowBytes } = this.#kept;
		const overflow = chunk.subarray(0, Math.max(0, overflowBytes - this.#bytes));
		this.#bytes += chunk.length;
		this.#both.beyond += chunk.length;
		if (reservedBytes > 0) this.#end = Buffer.concat([this.#end, chunk]).subarray(-reservedBytes);
		if (overflow.length === 0) return;
		this.#file ??= this.#open();
		await send(this.#file.masked, overflow);
	}

	/** What stands behind what came first, and how many bytes are left out between them. */
	async finish(): Promise<{ readonly end: Buffer; readonly leftOut: number }> {
		const { reservedBytes, tailBytes, overflowBytes } = this.#kept;
		const isWhole = this.#both.beyond <= reservedBytes;
		const tail = isWhole ? this.#end : this.#end.subarray(this.#end.length - Math.min(this.#end.length, tailBytes));
		const leftOut = this.#bytes - tail.length;
		const more = this.#bytes - overflowBytes;
		this.#file?.masked.end(more > 0 ? `\n[vouch] ${more} more bytes are kept nowhere\n` : undefined);
		await this.#file?.written;
		if (leftOut === 0) rmSync(this.#path, { force: true });
		const gap = leftOut === 0 || tailBytes === 0 ? "" : `\n[vouch] ${leftOut} bytes are left out here\n`;
		return { end: Buffer.concat([Buffer.from(gap), tail]), leftOut };
	}

	#open(): { readonly masked: Writable; readonly written: Promise<void> } {
		const masked = new Masking(this.#hidden);
		const written = finished(masked.pipe(createWriteStream(this.#path, { flags: "wx", mode: 0o600 })));
		// Told by `finish`; until then nothing more is written.
		written.catch(() => masked.destroy());
		return { masked, written };
	}
}
