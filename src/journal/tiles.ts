import { type SubtreeHashes, treeHash } from "../evidence/index.ts";

/** Where C2SP tlog-tiles puts what. Pure: names and arithmetic, no files. */

export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;

/** A run of consecutive hashes of one tile level, or of consecutive entries. Partial when narrower than 256. */
export interface Tile {
	readonly level: number | "entries";
	readonly index: number;
	/** 1 to 256. */
	readonly width: number;
}

/** `tile/<L>/<N>[.p/<W>]`, with N in groups of three digits: 1234067 is `x001/x234/067`. */
export function tilePath({ level, index, width }: Tile): string {
	const groups: string[] = [];
	for (let rest = index; groups.length === 0 || rest > 0; rest = Math.floor(rest / 1000)) {
		groups.unshift((groups.length === 0 ? "" : "x") + String(rest % 1000).padStart(3, "0"));
	}
	return `tile/${level}/${groups.join("/")}${width < TILE_WIDTH ? `.p/${width}` : ""}`;
}

/** Hashes at a tile level of a tree: perfect subtrees of 256^level leaves. */
export function hashesAt(level: number, size: number): number {
	return Math.floor(size / TILE_WIDTH ** level);
}

/** Tile levels that hold at least one hash. */
export function levelsOf(size: number): number {
	let levels = 0;
	while (hashesAt(levels, size) > 0) levels += 1;
	return levels;
}

/** The tile at that index as a tree of that size has it; undefined when it has none there. */
export function tileAt(level: number | "entries", index: number, size: number): Tile | undefined {
	const width = Math.min(TILE_WIDTH, hashesAt(level === "entries" ? 0 : level, size) - index * TILE_WIDTH);
	return width > 0 ? { level, index, width } : undefined;
}

/** The last tile of a level: the only one that may be partial. */
export function lastTile(level: number | "entries", size: number): Tile | undefined {
	const hashes = hashesAt(level === "entries" ? 0 : level, size);
	return hashes === 0 ? undefined : tileAt(level, Math.floor((hashes - 1) / TILE_WIDTH), size);
}

/** Subtree hashes of a tree from the hashes in its tiles: what a tile leaves out is made of neighbours within it. */
export function subtreesOfTiles(hashAt: (tileLevel: number, index: number) => Uint8Array): SubtreeHashes {
	return (level, index) => {
		const tileLevel = Math.floor(level / TILE_HEIGHT);
		const span = 2 ** (level % TILE_HEIGHT);
		return treeHash(Array.from({ length: span }, (_, offset) => hashAt(tileLevel, index * span + offset)));
	};
}
