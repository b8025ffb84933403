import { writeSync } from "node:fs";
import { DIGEST_BYTES, FAN_OUT, type Layout, VERITY_BLOCK_BYTES } from "./layout.ts";
import { SaltedBlocks } from "./salted-blocks.ts";

/** What a thread must know. Descriptors and shared memory belong to the process, so all of it can be sent. */
export interface Work {
	readonly kind: "format" | "verify";
	readonly fd: number;
	readonly layout: Layout;
	readonly salt: Uint8Array;
	/** 32-bit integers, see `crew.ts`. */
	readonly control: SharedArrayBuffer;
	/** One digest for each group: that of its block of level 0, or of the data block when there is no tree. */
	readonly digests: SharedArrayBuffer;
}

/** A group whose stored tree block is not the one that its data gives. */
export interface Mismatch {
	readonly group: number;
	/** What the block of level 0 would have to be for the data that is there. */
	readonly rebuilt: Uint8Array;
	readonly stored: Uint8Array;
}

/** Hashes groups one at a time, with buffers of its own. */
export class GroupHashing {
	readonly #work: Work;
	readonly #data: SaltedBlocks;
	readonly #tree: SaltedBlocks;
	readonly #rebuilt = Buffer.alloc(VERITY_BLOCK_BYTES);
	readonly #digests: Buffer;

	constructor(work: Work) {
		this.#work = work;
		this.#data = new SaltedBlocks(work.salt, FAN_OUT);
		this.#tree = new SaltedBlocks(work.salt, 1);
		this.#digests = Buffer.from(work.digests);
	}

	/** Formats or verifies one group. What it finds wrong is a value; that nothing can be read is thrown. */
	take(group: number): Mismatch | undefined {
		const { kind, fd, layout } = this.#work;
		const first = group * FAN_OUT;
		const count = Math.min(FAN_OUT, layout.dataBlocks - first);
		this.#data.read(fd, first, count);
		this.#rebuilt.fill(0, count * DIGEST_BYTES);
		this.#data.digestInto(this.#rebuilt, count);
		const [level] = layout.levels;
		if (level === undefined) {
			this.#digests.set(this.#rebuilt.subarray(0, DIGEST_BYTES));
			return undefined;
		}
		if (kind === "format") {
			writeWhole(fd, this.#rebuilt, level.start + group);
			this.#tree.blocks.set(this.#rebuilt);
		} else {
			this.#tree.read(fd, level.start + group, 1);
		}
		this.#tree.digestInto(this.#digests.subarray(group * DIGEST_BYTES), 1);
		const stored = this.#tree.blocks;
		if (stored.equals(this.#rebuilt)) return undefined;
		return { group, rebuilt: new Uint8Array(this.#rebuilt), stored: new Uint8Array(stored) };
	}
}

export function writeWhole(fd: number, bytes: Uint8Array, firstBlock: number): void {
	for (let done = 0; done < bytes.length; ) {
		done += writeSync(fd, bytes, done, bytes.length - done, firstBlock * VERITY_BLOCK_BYTES + done);
	}
}
