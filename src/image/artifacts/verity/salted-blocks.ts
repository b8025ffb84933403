import { hash } from "node:crypto";
import { readSync } from "node:fs";
import { DIGEST_BYTES, FAN_OUT, VERITY_BLOCK_BYTES } from "./layout.ts";

/** Room in front of the first block for the longest salt. */
const LEAD_BYTES = 64;

/**
 * A buffer of blocks, each of which is hashed behind the salt without being copied: the salt is written over the bytes just
 * before the block, which belong to the block before it. So blocks are hashed in their order, each once.
 */
export class SaltedBlocks {
	readonly bytes: Buffer;
	readonly #salt: Uint8Array;
	/** Salt and block i as one piece. Made once: making a view costs a third of hashing what it shows. */
	readonly #views: readonly Buffer[];
	/** As `bytes`, but from the first block on. */
	readonly blocks: Buffer;

	constructor(salt: Uint8Array, capacity: number) {
		this.#salt = salt;
		this.bytes = Buffer.alloc(LEAD_BYTES + capacity * VERITY_BLOCK_BYTES);
		this.blocks = this.bytes.subarray(LEAD_BYTES);
		this.#views = Array.from({ length: capacity }, (_, index) => {
			const start = LEAD_BYTES + index * VERITY_BLOCK_BYTES;
			return this.bytes.subarray(start - salt.length, start + VERITY_BLOCK_BYTES);
		});
	}

	/** Fills blocks from 0 on. Throws when the file ends first: it had these blocks when we began. */
	read(fd: number, firstBlock: number, count: number): void {
		const wanted = count * VERITY_BLOCK_BYTES;
		const position = firstBlock * VERITY_BLOCK_BYTES;
		for (let done = 0; done < wanted; ) {
			const got = readSync(fd, this.blocks, done, wanted - done, position + done);
			if (got === 0) throw new Error(`it ends at byte ${position + done}, and has become shorter meanwhile.`);
			done += got;
		}
	}

	/** Digests of the first `count` blocks, one after the other. Spoils the blocks but the last. */
	digestInto(digests: Buffer, count: number): void {
		for (let index = 0; index < count; index += 1) {
			const view = this.#views[index];
			if (view === undefined) throw new RangeError(`no block ${index}`);
			view.set(this.#salt);
			// By way of a string: making a Buffer for each digest would take half as long again as the hash itself.
			digests.write(hash("sha256", view, "binary"), index * DIGEST_BYTES, DIGEST_BYTES, "latin1");
		}
	}
}

/** One digest after the other. For the upper levels, which are small. */
export function digestsOfBlocks(bytes: Uint8Array, salt: Uint8Array): Buffer {
	const count = bytes.length / VERITY_BLOCK_BYTES;
	const digests = Buffer.alloc(count * DIGEST_BYTES);
	const blocks = new SaltedBlocks(salt, FAN_OUT);
	for (let first = 0; first < count; first += FAN_OUT) {
		const taken = Math.min(FAN_OUT, count - first);
		blocks.blocks.set(bytes.subarray(first * VERITY_BLOCK_BYTES, (first + taken) * VERITY_BLOCK_BYTES));
		blocks.digestInto(digests.subarray(first * DIGEST_BYTES), taken);
	}
	return digests;
}
