import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { utf8 } from "../core/index.ts";
import { Frontier, inclusionProof, leafHash, subtreesOf, treeHash } from "../evidence/index.ts";
import { decodeBundle, encodeBundle, MAX_ENTRY_BYTES } from "./bundle.ts";
import { Edge } from "./edge.ts";
import { scratchDirectory } from "./scratch-log.ts";
import { TileStore } from "./tile-store.ts";
import { hashesAt, lastTile, levelsOf, subtreesOfTiles, tileAt, tilePath } from "./tiles.ts";

describe("tile names", () => {
	it("are those of C2SP tlog-tiles", () => {
		assert.equal(tilePath({ level: 0, index: 1_234_067, width: 256 }), "tile/0/x001/x234/067");
		assert.equal(tilePath({ level: 0, index: 0, width: 256 }), "tile/0/000");
		assert.equal(tilePath({ level: 63, index: 999, width: 255 }), "tile/63/999.p/255");
		assert.equal(tilePath({ level: 1, index: 1000, width: 1 }), "tile/1/x001/000.p/1");
		assert.equal(tilePath({ level: "entries", index: 17, width: 112 }), "tile/entries/017.p/112");
	});

	it("cover a tree of 70,000 as the specification's example says", () => {
		assert.equal(levelsOf(70_000), 3);
		assert.deepEqual(tileAt(0, 272, 70_000), { level: 0, index: 272, width: 256 });
		assert.deepEqual(lastTile(0, 70_000), { level: 0, index: 273, width: 112 });
		assert.deepEqual(tileAt(1, 0, 70_000), { level: 1, index: 0, width: 256 });
		assert.deepEqual(lastTile(1, 70_000), { level: 1, index: 1, width: 17 });
		assert.deepEqual(lastTile(2, 70_000), { level: 2, index: 0, width: 1 });
		assert.equal(tileAt(0, 274, 70_000), undefined);
		assert.deepEqual(lastTile(0, 256), { level: 0, index: 0, width: 256 });
		assert.deepEqual(lastTile(1, 256), { level: 1, index: 0, width: 1 });
		assert.equal(lastTile("entries", 0), undefined);
		assert.equal(levelsOf(0), 0);
		assert.equal(hashesAt(1, 255), 0);
	});
});

describe("subtrees of tiles", () => {
	it("prove as a tree in memory does", () => {
		const leaves = Array.from({ length: 777 }, (_, index) => leafHash(Uint8Array.of(index & 0xff, index >> 8)));
		const inMemory = subtreesOf(leaves);
		const inTiles = subtreesOfTiles((level, index) => inMemory(level * 8, index));
		for (const size of [1, 2, 255, 256, 257, 511, 512, 777]) {
			for (const index of [0, 1, 254, 255, 256, size - 1].filter((each) => each < size)) {
				assert.deepEqual(inclusionProof(index, size, inTiles), inclusionProof(index, size, inMemory));
			}
		}
	});

	it("grow on the edge to the same roots, past 65,536 leaves", () => {
		using directory = scratchDirectory();
		const frontier = new Frontier();
		let edge = Edge.read(new TileStore(directory.path), 0);
		for (let size = 0; size < 66_000; size += 1) {
			assert.ok(typeof edge !== "string");
			if (size < 600 || size % 997 === 0 || Math.abs(size - 65_536) < 3) assert.deepEqual(edge.root(), frontier.root());
			const entry = utf8(String(size));
			frontier.push(leafHash(entry));
			edge = edge.with(entry).edge;
		}
	});
});

describe("entry bundles", () => {
	it("come back as they were", () => {
		const entry = fc.uint8Array({ maxLength: 300 });
		fc.assert(
			fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
				const { entries: read, spareBytes } = decodeBundle(encodeBundle(entries));
				assert.deepEqual(
					read.map((each) => [...each]),
					entries.map((each) => [...each]),
				);
				assert.equal(spareBytes, 0);
			}),
		);
		const longest = new Uint8Array(MAX_ENTRY_BYTES).fill(7);
		assert.deepEqual(decodeBundle(encodeBundle([longest])).entries[0]?.length, MAX_ENTRY_BYTES);
	});

	it("never read past their end", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
				const { entries, spareBytes } = decodeBundle(bytes);
				assert.equal(
					entries.reduce((total, each) => total + 2 + each.length, spareBytes),
					bytes.length,
				);
				assert.deepEqual(treeHash(entries.map(leafHash)).length, 32);
			}),
		);
	});
});
