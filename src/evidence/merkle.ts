import { hash } from "node:crypto";
import type { Digest } from "../core/index.ts";

/** RFC 6962 section 2.1 Merkle trees over SHA-256. Every loop is bounded by the height of a tree: at most 53 levels. */

/** Bytes of a hash here. */
export const HASH_BYTES = 32;

/** Hash of the perfect subtree that covers leaves [index * 2^level, (index + 1) * 2^level). */
export type SubtreeHashes = (level: number, index: number) => Uint8Array;

const LEAF_PREFIX = Uint8Array.of(0x00);
const nodePreimage = Buffer.alloc(1 + 2 * HASH_BYTES, 0x01);

export function leafHash(entry: Uint8Array): Uint8Array {
	return new Uint8Array(hash("sha256", Buffer.concat([LEAF_PREFIX, entry]), "buffer"));
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
	nodePreimage.set(left, 1);
	nodePreimage.set(right, 1 + HASH_BYTES);
	return new Uint8Array(hash("sha256", nodePreimage, "buffer"));
}

/** Root of the tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Uint8Array = new Uint8Array(hash("sha256", new Uint8Array(0), "buffer"));

/** The growing edge of a tree: the perfect subtrees from left to right. Takes leaf hashes, gives the root at any size. */
export class Frontier {
	#size = 0;
	readonly #subtrees: Uint8Array[] = [];

	get size(): number {
		return this.#size;
	}

	push(leaf: Uint8Array): void {
		let merged = leaf;
		for (let carry = this.#size; carry % 2 === 1; carry = Math.floor(carry / 2)) {
			merged = nodeHash(this.#subtrees.pop() ?? merged, merged);
		}
		this.#subtrees.push(merged);
		this.#size += 1;
	}

	root(): Uint8Array {
		return foldRight(this.#subtrees) ?? EMPTY_ROOT;
	}
}

/** Merkle tree hash of leaf hashes, MTH of RFC 6962 section 2.1. */
export function treeHash(leafHashes: Iterable<Uint8Array>): Uint8Array {
	const frontier = new Frontier();
	for (const leaf of leafHashes) frontier.push(leaf);
	return frontier.root();
}

/** Root over entries, spelt as a digest. */
export function merkleRoot(entries: Iterable<Uint8Array>): Digest {
	const frontier = new Frontier();
	for (const entry of entries) frontier.push(leafHash(entry));
	return `sha256:${Buffer.from(frontier.root()).toString("hex")}` as Digest;
}

/** MTH of leaves [start, end), where start is a multiple of the largest power of two below end - start. */
export function rangeHash(start: number, end: number, subtree: SubtreeHashes): Uint8Array {
	const parts: Uint8Array[] = [];
	for (let from = start; from < end; ) {
		const level = Math.floor(Math.log2(end - from));
		parts.push(subtree(level, from / 2 ** level));
		from += 2 ** level;
	}
	return foldRight(parts) ?? EMPTY_ROOT;
}

/** Subtree hashes of a tree that is held in memory. */
export function subtreesOf(leafHashes: readonly Uint8Array[]): SubtreeHashes {
	const levels: Uint8Array[][] = [[...leafHashes]];
	for (let below = levels[0]; below !== undefined && below.length > 1; below = levels.at(-1)) {
		const level: Uint8Array[] = [];
		for (const [index, left] of below.entries()) {
			const right = index % 2 === 0 ? below[index + 1] : undefined;
			if (right !== undefined) level.push(nodeHash(left, right));
		}
		levels.push(level);
	}
	return (level, index) => {
		const found = levels[level]?.[index];
		if (found === undefined) throw new RangeError(`the tree has no subtree ${index} at level ${level}`);
		return found;
	};
}

function foldRight(subtrees: readonly Uint8Array[]): Uint8Array | undefined {
	return subtrees.reduceRight<Uint8Array | undefined>(
		(right, left) => (right === undefined ? left : nodeHash(left, right)),
		undefined,
	);
}
