import { equalBytes } from "../core/index.ts";
import { leafHash, rangeHash, type SubtreeHashes, treeHash } from "../evidence/index.ts";
import { decodeBundle } from "./bundle.ts";
import type { TileStore } from "./tile-store.ts";
import { hashesAt, lastTile, levelsOf, subtreesOfTiles, TILE_WIDTH, type Tile } from "./tiles.ts";

/** The right edge of a tree: the last tile of every level. All that an append reads and writes, whatever the size. */
export class Edge {
	readonly size: number;
	/** By level: the hashes of its last tile. */
	readonly #levels: (readonly Uint8Array[])[];
	/** Entries of the last bundle; empty when that is full. */
	readonly #entries: readonly Uint8Array[];

	private constructor(size: number, levels: (readonly Uint8Array[])[], entries: readonly Uint8Array[]) {
		this.size = size;
		this.#levels = levels;
		this.#entries = entries;
	}

	/** The edge on disk, or in one sentence what is wrong with it. Its root is for the caller to compare. */
	static read(store: TileStore, size: number): Edge | string {
		const levels: (readonly Uint8Array[])[] = [];
		for (let level = 0; level < levelsOf(size); level += 1) {
			const tile = lastTile(level, size);
			const hashes = tile === undefined ? undefined : store.readHashes(tile);
			if (hashes === undefined) return `the last tile of level ${level} is missing or too short`;
			levels.push(hashes);
		}
		if (size % TILE_WIDTH === 0) return new Edge(size, levels, []);
		const tile = lastTile("entries", size);
		const bytes = tile === undefined ? undefined : store.read(tile);
		const entries = bytes === undefined ? [] : decodeBundle(bytes).entries.slice(0, size % TILE_WIDTH);
		const leaves = levels[0] ?? [];
		const fits = leaves.every((leaf, at) => equalBytes(leaf, leafHash(entries[at] ?? new Uint8Array(0))));
		return entries.length === leaves.length && fits
			? new Edge(size, levels, entries)
			: "its last entries do not give their hashes";
	}

	/** Subtree hashes as far as the edge reaches: enough for the root, and for the path of the last leaf. */
	readonly subtree: SubtreeHashes = subtreesOfTiles((level, index) => {
		const first = Math.floor((hashesAt(level, this.size) - 1) / TILE_WIDTH) * TILE_WIDTH;
		const hash = this.#levels[level]?.[index - first];
		if (hash === undefined)
			throw new RangeError(`hash ${index} of level ${level} is not on the edge of ${this.size} leaves`);
		return hash;
	});

	root(): Uint8Array {
		return rangeHash(0, this.size, this.subtree);
	}

	/** The last tile of every level. */
	tiles(): GrownTile[] {
		return this.#levels.map((hashes, level) => ({ ...placeOf(level, this.size), width: hashes.length, hashes }));
	}

	/** The edge with one entry more, and what has to be written for it. */
	with(entry: Uint8Array): {
		readonly edge: Edge;
		readonly entries: readonly Uint8Array[];
		readonly tiles: readonly GrownTile[];
	} {
		const size = this.size + 1;
		const levels = [...this.#levels];
		const tiles: GrownTile[] = [];
		let hash: Uint8Array | undefined = leafHash(entry);
		for (let level = 0; hash !== undefined; level += 1) {
			const before = levels[level] ?? [];
			const hashes: readonly Uint8Array[] = before.length === TILE_WIDTH ? [hash] : [...before, hash];
			levels[level] = hashes;
			tiles.push({ ...placeOf(level, size), width: hashes.length, hashes });
			// Only a full tile is hashed into the level above it.
			hash = hashes.length === TILE_WIDTH ? treeHash(hashes) : undefined;
		}
		const entries = [...this.#entries, entry];
		return { edge: new Edge(size, levels, entries.length === TILE_WIDTH ? [] : entries), entries, tiles };
	}
}

function placeOf(level: number, size: number): { readonly level: number; readonly index: number } {
	return { level, index: Math.floor((hashesAt(level, size) - 1) / TILE_WIDTH) };
}

export interface GrownTile extends Tile {
	readonly level: number;
	readonly hashes: readonly Uint8Array[];
}
