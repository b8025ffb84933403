import { equalBytes } from "../core/index.ts";
import { fail } from "./failures.ts";
import { EMPTY_ROOT, HASH_BYTES, nodeHash, rangeHash, type SubtreeHashes } from "./merkle.ts";

/** Inclusion and consistency proofs, RFC 9162 section 2.1. Sizes and indexes are integers up to 2^53 - 1. */

/** PATH(index, D[0:size]) of RFC 9162 section 2.1.3.1, from the leaf to the root. Throws `merkle-range`. */
export function inclusionProof(index: number, size: number, subtree: SubtreeHashes): Uint8Array[] {
	if (!isCount(size) || !isCount(index) || index >= size) throw outside(size, `leaf ${index}`);
	const path: Uint8Array[] = [];
	let [start, end] = [0, size];
	while (end - start > 1) {
		const split = start + largestPowerBelow(end - start);
		if (index < split) {
			path.push(rangeHash(split, end, subtree));
			end = split;
		} else {
			path.push(rangeHash(start, split, subtree));
			start = split;
		}
	}
	return path.reverse();
}

/** PROOF(first, D[0:second]) of RFC 9162 section 2.1.4.1. Empty for first = 0 and first = second. Throws `merkle-range`. */
export function consistencyProof(first: number, second: number, subtree: SubtreeHashes): Uint8Array[] {
	if (!isCount(first) || !isCount(second) || first > second) throw outside(second, `size ${first}`);
	if (first === 0) return [];
	const path: Uint8Array[] = [];
	let [start, end] = [0, second];
	while (first !== end) {
		const split = start + largestPowerBelow(end - start);
		if (first <= split) {
			path.push(rangeHash(split, end, subtree));
			end = split;
		} else {
			path.push(rangeHash(start, split, subtree));
			start = split;
		}
	}
	if (start > 0) path.push(rangeHash(start, end, subtree));
	return path.reverse();
}

/** The root that a path leads to, RFC 9162 section 2.1.3.2; undefined when the path does not fit index and size. */
export function rootOfInclusion(
	leaf: Uint8Array,
	index: number,
	size: number,
	path: readonly Uint8Array[],
): Uint8Array | undefined {
	if (!isCount(index) || !isCount(size) || index >= size || ![leaf, ...path].every(isHash)) return undefined;
	let [at, last] = [index, size - 1];
	let root = leaf;
	for (const sibling of path) {
		if (last === 0) return undefined;
		if (isOdd(at) || at === last) {
			root = nodeHash(sibling, root);
			while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)];
		} else {
			root = nodeHash(root, sibling);
		}
		[at, last] = [half(at), half(last)];
	}
	return last === 0 ? root : undefined;
}

export function verifyInclusion(
	leaf: Uint8Array,
	index: number,
	tree: { readonly size: number; readonly root: Uint8Array },
	path: readonly Uint8Array[],
): boolean {
	const root = rootOfInclusion(leaf, index, tree.size, path);
	return root !== undefined && equalBytes(root, tree.root);
}

/** Whether the second tree only added to the first, RFC 9162 section 2.1.4.2. Every tree adds to the empty one. */
export function verifyConsistency(
	first: { readonly size: number; readonly root: Uint8Array },
	second: { readonly size: number; readonly root: Uint8Array },
	path: readonly Uint8Array[],
): boolean {
	if (!isCount(first.size) || !isCount(second.size) || first.size > second.size) return false;
	if (![first.root, second.root, ...path].every(isHash)) return false;
	if (first.size === second.size) return path.length === 0 && equalBytes(first.root, second.root);
	if (first.size === 0) return path.length === 0 && equalBytes(first.root, EMPTY_ROOT);
	// A first tree that is perfect is itself the first node of the walk, so the proof leaves it out.
	const [seed, ...rest] = isPowerOfTwo(first.size) ? [first.root, ...path] : path;
	if (seed === undefined || path.length === 0) return false;
	let [at, last] = [first.size - 1, second.size - 1];
	while (isOdd(at)) [at, last] = [half(at), half(last)];
	let [firstRoot, secondRoot] = [seed, seed];
	for (const node of rest) {
		if (last === 0) return false;
		if (isOdd(at) || at === last) {
			firstRoot = nodeHash(node, firstRoot);
			secondRoot = nodeHash(node, secondRoot);
			while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)];
		} else {
			secondRoot = nodeHash(secondRoot, node);
		}
		[at, last] = [half(at), half(last)];
	}
	return last === 0 && equalBytes(firstRoot, first.root) && equalBytes(secondRoot, second.root);
}

function outside(size: number, asked: string) {
	return fail("merkle-range", { size: String(size), asked });
}

/** Largest power of two smaller than a count of at least 2. */
function largestPowerBelow(count: number): number {
	return 2 ** Math.floor(Math.log2(count - 1));
}

function isCount(value: number): boolean {
	return Number.isSafeInteger(value) && value >= 0;
}

function isHash(value: Uint8Array): boolean {
	return value.length === HASH_BYTES;
}

function isPowerOfTwo(count: number): boolean {
	return 2 ** Math.floor(Math.log2(count)) === count;
}

// Sizes go past 32 bits, where the bitwise operators of JavaScript stop.
function isOdd(value: number): boolean {
	return value % 2 === 1;
}

function half(value: number): number {
	return Math.floor(value / 2);
}
