import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EMPTY_ROOT, leafHash, subtreesOf, treeHash } from "./merkle.ts";
import {
	consistencyProof,
	inclusionProof,
	rootOfInclusion,
	verifyConsistency,
	verifyInclusion,
} from "./merkle-proof.ts";

const LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const reference = LEAVES.map((leaf) => leafHash(Buffer.from(leaf, "hex")));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

/** Published test vectors: leaf (from 1), size, path. */
const INCLUSIONS: readonly (readonly [number, number, readonly string[]])[] = [
	[1, 1, []],
	[
		1,
		8,
		[
			"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
			"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
			"6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
		],
	],
	[
		6,
		8,
		[
			"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
			"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
			"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		],
	],
	[3, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]],
	[
		2,
		5,
		[
			"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
			"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
			"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
		],
	],
];

const CONSISTENCIES: readonly (readonly [number, number, readonly string[]])[] = [
	[1, 1, []],
	[
		1,
		8,
		[
			"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
			"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
			"6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
		],
	],
	[
		6,
		8,
		[
			"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
			"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
			"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		],
	],
	[
		2,
		5,
		[
			"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
			"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
		],
	],
	[
		6,
		7,
		[
			"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
			"b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
			"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		],
	],
];

const treeOf = (size: number): Uint8Array[] =>
	Array.from({ length: size }, (_, index) => leafHash(Uint8Array.of(index, index >> 8)));
const headOf = (leaves: readonly Uint8Array[]): { size: number; root: Uint8Array } => ({
	size: leaves.length,
	root: treeHash(leaves),
});
const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, index) => (index === 0 ? byte ^ 8 : byte));

describe("inclusion proofs", () => {
	it("are the published ones", () => {
		for (const [leaf, size, path] of INCLUSIONS) {
			const tree = reference.slice(0, size);
			assert.deepEqual(inclusionProof(leaf - 1, size, subtreesOf(tree)).map(hex), path);
			assert.ok(verifyInclusion(reference[leaf - 1] ?? EMPTY_ROOT, leaf - 1, headOf(tree), path.map(unhex)));
		}
	});

	it("verify for every leaf of every tree up to 66 leaves, and for no other leaf or index", () => {
		for (let size = 1; size <= 66; size += 1) {
			const leaves = treeOf(size);
			const head = headOf(leaves);
			for (const [index, leaf] of leaves.entries()) {
				const path = inclusionProof(index, size, subtreesOf(leaves));
				assert.ok(verifyInclusion(leaf, index, head, path));
				for (const other of [index - 1, index + 1, index ^ 2, size, -1, 0.5]) {
					if (other !== index)
						assert.equal(verifyInclusion(leaf, other, head, path), false, `${index} of ${size} as ${other}`);
				}
			}
		}
	});

	it("reject every corruption", () => {
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 600 }), fc.nat(), (size, seed) => {
				const leaves = treeOf(size);
				const head = headOf(leaves);
				const index = seed % size;
				const leaf = leaves[index] ?? EMPTY_ROOT;
				const path = inclusionProof(index, size, subtreesOf(leaves));
				const wrong: Uint8Array[][] = [
					[...path, head.root],
					[...path, new Uint8Array(0)],
					[head.root, ...path],
					[new Uint8Array(0), ...path],
					...path.map((_, at) => path.map((node, position) => (position === at ? flipped(node) : node))),
					...(path.length === 0 ? [] : [path.slice(0, -1), path.slice(1)]),
				];
				for (const other of wrong) assert.equal(verifyInclusion(leaf, index, head, other), false);
				assert.equal(verifyInclusion(flipped(leaf), index, head, path), false);
				assert.equal(verifyInclusion(leaf.slice(1), index, head, path), false);
				assert.equal(verifyInclusion(leaf, index, { ...head, root: EMPTY_ROOT }, path), false);
				assert.equal(verifyInclusion(leaf, index, { ...head, size: size * 2 }, path), false);
				if (size > 1) assert.equal(verifyInclusion(leaf, index, { ...head, size: Math.floor(size / 2) }, path), false);
			}),
			{ numRuns: 60 },
		);
	});

	it("stay bounded and total for hostile sizes", () => {
		const leaf = leafHash(Uint8Array.of(1));
		const path = Array.from({ length: 64 }, () => leaf);
		for (const [index, size] of [
			[0, 0],
			[1, 0],
			[2, 1],
			[0, 2 ** 53],
			[Number.NaN, 4],
			[2 ** 52, 2 ** 53 - 1],
			[0, Number.POSITIVE_INFINITY],
		]) {
			assert.equal(rootOfInclusion(leaf, index ?? 0, size ?? 0, path), undefined);
		}
		// Past 32 bits the walk still takes exactly the levels there are.
		assert.notEqual(rootOfInclusion(leaf, 2 ** 40 + 1, 2 ** 41, path.slice(0, 41)), undefined);
		assert.throws(() => inclusionProof(3, 3, subtreesOf(treeOf(3))), { code: "merkle-range" });
	});
});

describe("consistency proofs", () => {
	it("are the published ones", () => {
		for (const [first, second, path] of CONSISTENCIES) {
			assert.deepEqual(consistencyProof(first, second, subtreesOf(reference.slice(0, second))).map(hex), path);
		}
	});

	it("verify between all sizes up to 40, and reject another root, size, or path", () => {
		const leaves = treeOf(40);
		for (let second = 1; second <= 40; second += 1) {
			const subtree = subtreesOf(leaves.slice(0, second));
			const newer = headOf(leaves.slice(0, second));
			for (let first = 0; first <= second; first += 1) {
				const older = headOf(leaves.slice(0, first));
				const path = consistencyProof(first, second, subtree);
				assert.ok(verifyConsistency(older, newer, path), `${first} to ${second}`);
				assert.equal(verifyConsistency({ ...older, root: flipped(older.root) }, newer, path), false);
				assert.equal(verifyConsistency(older, newer, [...path, newer.root]), false);
				if (first > 0) assert.equal(verifyConsistency(older, { ...newer, root: flipped(newer.root) }, path), false);
				if (path.length > 0) {
					assert.equal(verifyConsistency(older, newer, path.slice(1)), false);
					assert.equal(verifyConsistency(older, newer, path.slice(0, -1)), false);
					assert.equal(verifyConsistency(older, newer, [flipped(path[0] ?? EMPTY_ROOT), ...path.slice(1)]), false);
				}
				if (first !== second) assert.equal(verifyConsistency(newer, older, path), false);
			}
		}
	});

	it("do not let history be rewritten", () => {
		const leaves = treeOf(20);
		const rewritten = leaves.map((leaf, index) => (index === 3 ? flipped(leaf) : leaf));
		const path = consistencyProof(10, 20, subtreesOf(rewritten));
		assert.equal(verifyConsistency(headOf(leaves.slice(0, 10)), headOf(rewritten), path), false);
	});
});
