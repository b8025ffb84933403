import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EMPTY_ROOT, Frontier, leafHash, merkleRoot, nodeHash, rangeHash, subtreesOf, treeHash } from "./merkle.ts";

/** The eight leaves of the reference tree that Certificate Transparency implementations share. */
const LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS = [
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const leaves = LEAVES.map((leaf) => leafHash(Buffer.from(leaf, "hex")));

/** MTH as RFC 6962 section 2.1 defines it, recursion and all. */
function definition(hashes: readonly Uint8Array[]): Uint8Array {
	const [only] = hashes;
	if (only === undefined) return EMPTY_ROOT;
	if (hashes.length === 1) return only;
	let split = 1;
	while (split * 2 < hashes.length) split *= 2;
	return nodeHash(definition(hashes.slice(0, split)), definition(hashes.slice(split)));
}

describe("Merkle trees", () => {
	it("give the published roots for 0 to 8 leaves", () => {
		for (const [size, root] of ROOTS.entries()) {
			assert.equal(hex(treeHash(leaves.slice(0, size))), root);
			assert.equal(merkleRoot(LEAVES.slice(0, size).map((leaf) => Buffer.from(leaf, "hex"))), `sha256:${root}`);
			assert.equal(hex(rangeHash(0, size, subtreesOf(leaves.slice(0, size)))), root);
		}
	});

	it("give what the definition gives, for any number of leaves and any aligned range", () => {
		const many = Array.from({ length: 70 }, (_, index) => leafHash(Uint8Array.of(index)));
		const frontier = new Frontier();
		for (let size = 0; size <= many.length; size += 1) {
			assert.equal(frontier.size, size);
			assert.equal(hex(frontier.root()), hex(definition(many.slice(0, size))));
			frontier.push(many[size] ?? EMPTY_ROOT);
		}
		const subtree = subtreesOf(many);
		assert.equal(hex(rangeHash(64, 70, subtree)), hex(definition(many.slice(64, 70))));
		assert.equal(hex(rangeHash(16, 29, subtree)), hex(definition(many.slice(16, 29))));
	});

	it("tell a leaf from a node (RFC 6962 section 2.1, second preimage)", () => {
		fc.assert(
			fc.property(
				fc.uint8Array({ minLength: 32, maxLength: 32 }),
				fc.uint8Array({ minLength: 32, maxLength: 32 }),
				(a, b) => {
					assert.notEqual(hex(leafHash(Buffer.concat([a, b]))), hex(nodeHash(a, b)));
					assert.notEqual(hex(treeHash([a, b])), hex(treeHash([nodeHash(a, b), b])));
				},
			),
			{ numRuns: 50 },
		);
	});

	it("have no subtree outside of the tree", () => {
		assert.throws(() => subtreesOf(leaves)(1, 4), RangeError);
		assert.throws(() => subtreesOf(leaves)(4, 0), RangeError);
	});
});
