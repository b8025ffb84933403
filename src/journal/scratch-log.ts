import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canonicalJson, concatBytes, digestOf, newId, type RunId, utf8 } from "../core/index.ts";
import { journalOriginOf, type Signer, signCheckpoint } from "../evidence/index.ts";
import { encodeBundle } from "./bundle.ts";
import { Edge } from "./edge.ts";
import type { JournalEntry } from "./schema.ts";
import { TileStore } from "./tile-store.ts";
import { lastTile, TILE_WIDTH } from "./tiles.ts";

/** Logs and directories for tests. */

export interface ScratchDirectory {
	readonly path: string;
	[Symbol.dispose](): void;
}

export function scratchDirectory(): ScratchDirectory {
	const path = mkdtempSync(join(tmpdir(), "vouch-journal-"));
	return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export function scratchEntry(index: number): JournalEntry {
	const time = new Date(1_735_787_045_000 + index).toISOString();
	return {
		kind: "receipt",
		digest: digestOf(`receipt ${index}`),
		runId: newId<RunId>(1_735_787_045_000 + index),
		time,
	};
}

/** Writes a log of that many entries as appending one by one would leave it, without the time that takes. */
export function writeLog(directory: string, size: number, signer: Signer): void {
	const store = new TileStore(directory);
	const empty = Edge.read(store, 0);
	if (typeof empty === "string") throw new TypeError(empty);
	let edge: Edge = empty;
	for (let index = 0; index < size; index += 1) {
		const grown = edge.with(utf8(canonicalJson(scratchEntry(index))));
		const isLast = index === size - 1;
		const bundle = lastTile("entries", grown.edge.size);
		if (bundle !== undefined && (isLast || bundle.width === TILE_WIDTH))
			store.write(bundle, encodeBundle(grown.entries));
		for (const tile of isLast ? grown.edge.tiles() : grown.tiles.filter(({ width }) => width === TILE_WIDTH)) {
			store.write(tile, concatBytes(...tile.hashes));
		}
		edge = grown.edge;
	}
	const origin = journalOriginOf(signer.publicKey);
	store.replaceCheckpoint(signCheckpoint({ origin, size, root: edge.root() }, signer));
}
