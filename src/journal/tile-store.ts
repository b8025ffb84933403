import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { HASH_BYTES } from "../evidence/index.ts";
import { MAX_ENTRY_BYTES } from "./bundle.ts";
import { readRegular, replaceDurably, subdirectory, writeDurably } from "./private-files.ts";
import { TILE_WIDTH, type Tile, tilePath } from "./tiles.ts";

const MAX_CHECKPOINT_BYTES = 4096;
const MAX_TILE_BYTES = TILE_WIDTH * (MAX_ENTRY_BYTES + 2);

/** The files of a journal: tiles that never change once a checkpoint covers them, and the checkpoint. */
export class TileStore {
	readonly directory: string;

	constructor(directory: string) {
		this.directory = directory;
	}

	readCheckpoint(): string | undefined {
		return readRegular(join(this.directory, "checkpoint"), MAX_CHECKPOINT_BYTES)?.toString("utf8");
	}

	replaceCheckpoint(text: string): void {
		replaceDurably(join(this.directory, "checkpoint"), Buffer.from(text));
	}

	/**
	 * Bytes of a tile, or undefined when it isn't there. A partial tile goes once its full one is there, so a reader whose
	 * checkpoint is older falls back to that (C2SP tlog-tiles, "Partial Tiles"); it then gets more than it asked for.
	 */
	read(tile: Tile): Uint8Array | undefined {
		const read = (path: string): Uint8Array | undefined => readRegular(join(this.directory, path), MAX_TILE_BYTES);
		return (
			read(tilePath(tile)) ?? (tile.width < TILE_WIDTH ? read(tilePath({ ...tile, width: TILE_WIDTH })) : undefined)
		);
	}

	/** The first `width` hashes of a tile, or undefined when there are fewer. */
	readHashes(tile: Tile): readonly Uint8Array[] | undefined {
		const bytes = this.read(tile);
		if (bytes === undefined || bytes.length < tile.width * HASH_BYTES || bytes.length % HASH_BYTES !== 0)
			return undefined;
		return Array.from({ length: tile.width }, (_, at) => bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES));
	}

	/** Durable when it returns. Only for tiles that no checkpoint covers yet. */
	write(tile: Tile, bytes: Uint8Array): void {
		const path = tilePath(tile);
		subdirectory(this.directory, dirname(path));
		writeDurably(join(this.directory, path), bytes);
	}

	/** Removes the partial tiles that a full one, now covered by a checkpoint, stands for. */
	dropPartials(tile: Tile): void {
		rmSync(`${join(this.directory, tilePath({ ...tile, width: TILE_WIDTH }))}.p`, { recursive: true, force: true });
	}

	has(tile: Tile): boolean {
		return this.read(tile) !== undefined;
	}
}
