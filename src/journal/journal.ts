import { join } from "node:path";
import { canonicalJson, concatBytes, equalBytes, toBase64, utf8 } from "../core/index.ts";
import {
	inclusionProof,
	journalOriginOf,
	type PublicKey,
	parseCheckpoint,
	type SignedCheckpoint,
	type Signer,
	signCheckpoint,
	verifyInclusion,
} from "../evidence/index.ts";
import type { Inclusion } from "../evidence/schema.ts";
import { encodeBundle, MAX_ENTRY_BYTES } from "./bundle.ts";
import { Edge } from "./edge.ts";
import { fail } from "./failures.ts";
import { ProcessLock } from "./lock.ts";
import { privateDirectory } from "./private-files.ts";
import { type JournalEntry, journalEntrySchema } from "./schema.ts";
import type { SuccessionEntry } from "./succession.ts";
import { TileStore } from "./tile-store.ts";
import { lastTile, subtreesOfTiles, TILE_WIDTH, tileAt, tilePath } from "./tiles.ts";

/** Who signs checkpoints now, and whose checkpoints are taken as found. Asked anew each time: keys rotate meanwhile. */
export interface JournalKeys {
	signer(): Signer;
	trusted(): readonly PublicKey[];
	/** How the signer came after others, oldest first; none for a key that was the first. */
	successions?(): readonly SuccessionEntry[];
}

/** Longest wait for another process that appends. */
const LOCK_WAIT_MS = 30_000;

/** The append-only log in one directory. Any number of processes may have it open. */
export class Journal {
	readonly #store: TileStore;
	readonly #keys: JournalKeys;
	readonly #lock: ProcessLock;

	constructor(directory: string, keys: JournalKeys) {
		privateDirectory(directory);
		this.#store = new TileStore(directory);
		this.#keys = keys;
		this.#lock = new ProcessLock(join(directory, "lock"), LOCK_WAIT_MS);
	}

	/**
	 * Appends one entry and proves it against a checkpoint that the current signer signed. When this returns, the entry is
	 * durable. Throws `entry-malformed`, `journal-busy`, and `journal-damaged` when what is there does not fit its checkpoint.
	 */
	append(entry: JournalEntry): Inclusion {
		const bytes = entryBytes(entry);
		const done = this.#lock.run(() => this.#appendAlone(bytes));
		if (done === undefined) {
			throw fail("journal-busy", { directory: this.#store.directory, seconds: String(LOCK_WAIT_MS / 1000) });
		}
		return done.value;
	}

	/** Loads what `append` needs, for those who would rather wait now. */
	ready(): void {
		this.#lock.ready();
	}

	/** Proof for an entry against the newest checkpoint. Throws `entry-unknown` and `journal-damaged`. */
	prove(index: number): Inclusion {
		const text = this.#store.readCheckpoint();
		const head = this.#readHead(text);
		const size = head?.size ?? 0;
		if (head === undefined || text === undefined || index >= size || index < 0 || !Number.isSafeInteger(index)) {
			throw fail("entry-unknown", { index: String(index), size: String(size) });
		}
		const hashAt = this.#hashesOf(size);
		const path = inclusionProof(index, size, subtreesOfTiles(hashAt));
		if (!verifyInclusion(hashAt(0, index), index, head, path)) throw this.#damaged("its tiles do not give its root");
		return { leafIndex: index, path: path.map(toBase64), checkpoint: text };
	}

	/** Text of the newest checkpoint, or undefined when nothing was appended yet. To be remembered elsewhere. */
	checkpoint(): string | undefined {
		const text = this.#store.readCheckpoint();
		this.#readHead(text);
		return text;
	}

	/**
	 * Order matters: entries and tiles first, each durable and none yet referred to; then the checkpoint in one step. A
	 * crash before that step leaves the old log and some files that the next append overwrites.
	 */
	#appendAlone(entry: Uint8Array): Inclusion {
		const signer = this.#keys.signer();
		const { edge: before, origin } = this.#readEdge(signer);
		const { edge, entries, tiles } = before.with(entry);
		const bundle = lastTile("entries", edge.size);
		if (bundle === undefined) throw new TypeError("a log with an entry has a last bundle");
		this.#store.write(bundle, encodeBundle(entries));
		for (const tile of tiles) this.#store.write(tile, concatBytes(...tile.hashes));
		const checkpoint = signCheckpoint({ origin, size: edge.size, root: edge.root() }, signer);
		this.#store.replaceCheckpoint(checkpoint);
		for (const tile of [bundle, ...tiles]) if (tile.width === TILE_WIDTH) this.#store.dropPartials(tile);
		const path = inclusionProof(before.size, edge.size, edge.subtree);
		return { leafIndex: before.size, path: path.map(toBase64), checkpoint };
	}

	/** What an append builds on: never a log that does not fit its own checkpoint, or whose end was cut off. */
	#readEdge(signer: Signer): { readonly edge: Edge; readonly origin: string } {
		const head = this.#readHead(this.#store.readCheckpoint());
		const size = head?.size ?? 0;
		if (outgrows(this.#store, size)) throw this.#damaged(`its checkpoint names ${size} entries and there were more`);
		const edge = Edge.read(this.#store, size);
		if (typeof edge === "string") throw this.#damaged(edge);
		if (head !== undefined && !equalBytes(edge.root(), head.root))
			throw this.#damaged("its tiles do not give its root");
		return { edge, origin: head?.origin ?? journalOriginOf(signer.publicKey) };
	}

	#readHead(text: string | undefined): SignedCheckpoint | undefined {
		if (text === undefined) return undefined;
		const head = parseCheckpoint(text);
		if (head === undefined) throw this.#damaged("its checkpoint is not a signed note with one signature line");
		const keys = [this.#keys.signer().publicKey, ...this.#keys.trusted()];
		if (!keys.some((key) => head.isSignedBy(key))) throw this.#damaged("no trusted key signed its checkpoint");
		return head;
	}

	/** Hashes of a tree of that size, each of its tiles read at most once. */
	#hashesOf(size: number): (level: number, index: number) => Uint8Array {
		const tiles = new Map<string, readonly Uint8Array[]>();
		return (level, index) => {
			const tile = tileAt(level, Math.floor(index / TILE_WIDTH), size);
			const path = tile === undefined ? "" : tilePath(tile);
			const hashes = tiles.get(path) ?? (tile === undefined ? [] : (this.#store.readHashes(tile) ?? []));
			tiles.set(path, hashes);
			const hash = hashes[index % TILE_WIDTH];
			if (hash === undefined) throw this.#damaged(`hash ${index} of level ${level} is missing`);
			return hash;
		};
	}

	#damaged(why: string) {
		return fail("journal-damaged", { directory: this.#store.directory, why });
	}
}

export function openJournal(directory: string, keys: JournalKeys): Journal {
	return new Journal(directory, keys);
}

/**
 * Whether tiles show that the log was once longer than that. Appends go one by one, so a crash can leave the tile of one
 * entry more, never of two: those mean that an older checkpoint was put back.
 */
export function outgrows(store: TileStore, size: number): boolean {
	const tile = lastTile(0, size + 2);
	return tile !== undefined && store.has(tile);
}

function entryBytes(entry: JournalEntry): Uint8Array {
	const parsed = journalEntrySchema.safeParse(entry);
	if (!parsed.success) throw fail("entry-malformed", { why: parsed.error.issues[0]?.message ?? "its form is unknown" });
	const bytes = utf8(canonicalJson(parsed.data));
	if (bytes.length > MAX_ENTRY_BYTES)
		throw fail("entry-malformed", { why: `it has more than ${MAX_ENTRY_BYTES} bytes` });
	return bytes;
}
