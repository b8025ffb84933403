import { equalBytes } from "../../../core/index.ts";
import type { Mismatch } from "./groups.ts";
import { DIGEST_BYTES, FAN_OUT, type Layout, type Level, VERITY_BLOCK_BYTES } from "./layout.ts";
import { digestsOfBlocks } from "./salted-blocks.ts";

export interface StoredLevel {
	readonly bytes: Uint8Array;
	/** Of each of its blocks. */
	readonly digests: Uint8Array;
}

/** All that was read and hashed. Pure data: what it means is found by `faultyBlocks`. */
export interface Examined {
	readonly layout: Layout;
	readonly salt: Uint8Array;
	readonly rootHash: Uint8Array;
	/** Of each block of level 0, or of the one data block. */
	readonly digests: Uint8Array;
	/** Level 1 and those above, lowest first. */
	readonly upper: readonly StoredLevel[];
	readonly mismatches: readonly Mismatch[];
}

export interface FaultyBlock {
	readonly kind: "tree" | "data" | "superblock";
	readonly block: number;
}

/**
 * Walks from the root down. What a block must hash to is known from the one above; when a block of the tree is bad, the block
 * that its children give stands in for it if that is the right one, so that one flipped bit in the tree accuses one block.
 */
export function* faultyBlocks(examined: Examined): Generator<FaultyBlock> {
	const { layout, salt, rootHash, digests, upper, mismatches } = examined;
	if (layout.levels.length === 0) {
		if (!equalBytes(digests, rootHash)) yield { kind: "data", block: 0 };
		return;
	}
	let expected = rootHash;
	for (let number = layout.levels.length - 1; number > 0; number -= 1) {
		const [level, stored] = [layout.levels[number], upper[number - 1]];
		if (level === undefined || stored === undefined) throw new RangeError(`no level ${number}`);
		const below = number === 1 ? digests : (upper[number - 2]?.digests ?? digests);
		const entries = Uint8Array.from(stored.bytes);
		for (const index of differing(stored.digests, expected, level)) {
			yield { kind: "tree", block: level.start + index };
			const rebuilt = new Uint8Array(VERITY_BLOCK_BYTES);
			rebuilt.set(below.subarray(index * VERITY_BLOCK_BYTES, (index + 1) * VERITY_BLOCK_BYTES));
			if (equalBytes(digestsOfBlocks(rebuilt, salt), digestAt(expected, index))) {
				entries.set(rebuilt, index * VERITY_BLOCK_BYTES);
			}
		}
		expected = entries;
	}
	const [lowest] = layout.levels;
	if (lowest === undefined) throw new RangeError("no level 0");
	const bad = new Set(differing(digests, expected, lowest));
	for (const index of bad) yield { kind: "tree", block: lowest.start + index };
	for (const { group, rebuilt, stored } of mismatches) {
		// The data is what the tree above vouches for: only the block between them is bad.
		if (bad.has(group) && equalBytes(digestsOfBlocks(rebuilt, salt), digestAt(expected, group))) continue;
		const count = Math.min(FAN_OUT, layout.dataBlocks - group * FAN_OUT);
		for (const index of differing(rebuilt, stored, { start: 0, blocks: count })) {
			yield { kind: "data", block: group * FAN_OUT + index };
		}
	}
}

function differing(found: Uint8Array, expected: Uint8Array, { blocks }: Level): readonly number[] {
	const indexes: number[] = [];
	for (let index = 0; index < blocks; index += 1) {
		if (!equalBytes(digestAt(found, index), digestAt(expected, index))) indexes.push(index);
	}
	return indexes;
}

function digestAt(digests: Uint8Array, index: number): Uint8Array {
	return digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
}
