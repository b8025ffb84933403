import { equalBytes, parseCanonicalJson, toBase64, VouchError } from "../core/index.ts";
import {
	EMPTY_ROOT,
	Frontier,
	leafHash,
	type PublicKey,
	parseCheckpoint,
	type SignedCheckpoint,
	treeHash,
} from "../evidence/index.ts";
import { decodeBundle } from "./bundle.ts";
import { outgrows } from "./journal.ts";
import { type JournalEntry, journalEntrySchema } from "./schema.ts";
import { checkSuccession } from "./succession.ts";
import { TileStore } from "./tile-store.ts";
import { hashesAt, TILE_WIDTH, type Tile, tileAt, tilePath } from "./tiles.ts";

export type JournalVerdict =
	| {
			readonly status: "holds";
			readonly size: number;
			/** Base64, as in the checkpoint. */
			readonly root: string;
			/** Name of the log, and the key that signed its newest checkpoint; null while it is empty. */
			readonly origin: string | null;
			readonly signedBy: PublicKey["keyId"] | null;
	  }
	| JournalFault;

/** The first thing that does not fit. */
export interface JournalFault {
	readonly status: "does-not-hold";
	/** The first entry it concerns; null when it concerns the whole. */
	readonly index: number | null;
	/** Below the journal's directory. */
	readonly file: string;
	/** One sentence without a full stop. */
	readonly problem: string;
}

/**
 * Recomputes every leaf, tile and root from the entries on disk and compares them with what is there and what was signed.
 * `remembered` are checkpoints kept elsewhere, such as those in receipts: they reveal an end cut off and a past rewritten,
 * which the directory alone can't. Reads one tile at a time and takes no lock; appending may go on meanwhile.
 */
export function verifyJournal(
	directory: string,
	keys: readonly PublicKey[],
	remembered: readonly string[] = [],
): JournalVerdict {
	try {
		return new Verification(new TileStore(directory), keys).run(remembered);
	} catch (error) {
		if (error instanceof Fault) return error.fault;
		if (error instanceof VouchError) return new Fault(null, error.details.path ?? "", error.message).fault;
		throw error;
	}
}

/** Carries the first fault out of the walk. */
class Fault extends Error {
	readonly fault: JournalFault;
	constructor(index: number | null, file: string, problem: string) {
		super(problem);
		this.fault = { status: "does-not-hold", index, file, problem };
	}
}

class Verification {
	readonly #store: TileStore;
	/** Trusted at first, then with every successor that one of them signed for. */
	readonly #keys: PublicKey[];
	readonly #frontier = new Frontier();
	/** By level: the hashes of the tile that is being filled. */
	readonly #filling: Uint8Array[][] = [];
	/** Remembered checkpoints whose root was another at their size. */
	readonly #contradicted = new Set<SignedCheckpoint>();

	constructor(store: TileStore, keys: readonly PublicKey[]) {
		this.#store = store;
		this.#keys = [...keys];
	}

	run(remembered: readonly string[]): JournalVerdict {
		const text = this.#store.readCheckpoint();
		const head = text === undefined ? undefined : parseCheckpoint(text);
		if (text !== undefined && head === undefined)
			throw new Fault(null, "checkpoint", "it is not a signed note with one line");
		const size = head?.size ?? 0;
		const known = remembered.map((each) => this.#parseRemembered(each));
		this.#compareRemembered(known);
		for (let bundle = 0; bundle * TILE_WIDTH < size; bundle += 1) {
			for (const leaf of this.#readLeaves(bundle, size)) {
				this.#frontier.push(leaf);
				this.#compareRemembered(known);
				this.#fill(0, leaf, size);
			}
		}
		this.#compareEnd(head, text);
		this.#judgeRemembered(known, head);
		return {
			status: "holds",
			size: this.#frontier.size,
			root: toBase64(this.#frontier.root()),
			origin: head?.origin ?? null,
			signedBy: head === undefined ? null : (this.#signerOf(head) ?? null),
		};
	}

	/** Leaf hashes of one bundle, each entry well formed and each hash as the level 0 tile has it. */
	*#readLeaves(bundle: number, size: number): Generator<Uint8Array> {
		const entriesTile = tileAt("entries", bundle, size);
		const hashesTile = tileAt(0, bundle, size);
		if (entriesTile === undefined || hashesTile === undefined) return;
		const first = bundle * TILE_WIDTH;
		const bytes = this.#store.read(entriesTile);
		const file = tilePath(entriesTile);
		if (bytes === undefined) throw new Fault(first, file, "it is missing");
		const { entries, spareBytes } = decodeBundle(bytes);
		const hashes = this.#store.readHashes(hashesTile);
		if (hashes === undefined) throw new Fault(first, tilePath(hashesTile), "it is missing or too short");
		for (const [at, hash] of hashes.entries()) {
			const entry = entries[at];
			if (entry === undefined) throw new Fault(first + at, file, `it ends before entry ${first + at}`);
			this.#checkEntry(entry, first + at, file);
			const leaf = leafHash(entry);
			if (!equalBytes(leaf, hash))
				throw new Fault(first + at, file, `the entry does not give its hash in ${tilePath(hashesTile)}`);
			yield leaf;
		}
		// A fallback to the full tile brings later entries along; a tile of just this width must end here.
		if (spareBytes > 0 || (entries.length !== hashes.length && entries.length !== TILE_WIDTH)) {
			throw new Fault(first + hashes.length, file, "it goes on after its last entry");
		}
	}

	#checkEntry(bytes: Uint8Array, index: number, file: string): void {
		const entry = parseEntry(bytes);
		if (entry === undefined) throw new Fault(index, file, "it is not a journal entry in canonical JSON");
		if (entry.kind !== "key-succession") return;
		const checked = checkSuccession(entry, this.#keys);
		if (checked.kind === "forged") throw new Fault(index, file, `a key succession is forged: ${checked.why}`);
		if (checked.kind === "successor") this.#keys.push(checked.key);
	}

	/** Collects the hashes of a level; a tile that is complete, full or last, is compared and carried up when full. */
	#fill(level: number, hash: Uint8Array, size: number): void {
		this.#filling[level] ??= [];
		const hashes = this.#filling[level];
		hashes.push(hash);
		const done = Math.floor(this.#frontier.size / TILE_WIDTH ** level);
		const tile = tileAt(level, Math.floor((done - 1) / TILE_WIDTH), size);
		if (tile === undefined || hashes.length < tile.width) return;
		if (level > 0) this.#compareTile(tile, hashes, level);
		this.#filling[level] = [];
		if (tile.width === TILE_WIDTH) this.#fill(level + 1, treeHash(hashes), size);
	}

	#compareTile(tile: Tile, hashes: readonly Uint8Array[], level: number): void {
		const found = this.#store.readHashes(tile);
		const file = tilePath(tile);
		const firstOf = (at: number): number => (tile.index * TILE_WIDTH + at) * TILE_WIDTH ** level;
		if (found === undefined) throw new Fault(firstOf(0), file, "it is missing or too short");
		const wrong = hashes.findIndex((hash, at) => !equalBytes(hash, found[at] ?? EMPTY_ROOT));
		if (wrong < 0) return;
		const last = firstOf(wrong + 1) - 1;
		throw new Fault(firstOf(wrong), file, `hash ${wrong} is not that of entries ${firstOf(wrong)} to ${last}`);
	}

	/** Every checkpoint of the past must be a state that this very log went through. */
	#compareRemembered(remembered: readonly SignedCheckpoint[]): void {
		const here = remembered.filter(({ size }) => size === this.#frontier.size);
		const root = here.length === 0 ? EMPTY_ROOT : this.#frontier.root();
		for (const each of here) if (!equalBytes(each.root, root)) this.#contradicted.add(each);
	}

	/** Only after the walk, which may have made known the key that signed one of them. */
	#judgeRemembered(remembered: readonly SignedCheckpoint[], head: SignedCheckpoint | undefined): void {
		const size = head?.size ?? 0;
		for (const each of remembered) {
			const problem =
				(this.#signerOf(each) === undefined && "no trusted key signed what is remembered") ||
				(head !== undefined && each.origin !== head.origin && `what is remembered is of another log, ${each.origin}`) ||
				(each.size > size && `the log once had ${each.size} entries and now has ${size}`) ||
				(this.#contradicted.has(each) && `the first ${each.size} entries are not those that were signed for then`);
			if (problem !== false) throw new Fault(each.size > size ? size : null, "checkpoint", problem);
		}
	}

	#parseRemembered(text: string): SignedCheckpoint {
		const parsed = parseCheckpoint(text);
		if (parsed === undefined) throw new Fault(null, "checkpoint", "what is remembered is not a checkpoint");
		return parsed;
	}

	#compareEnd(head: SignedCheckpoint | undefined, text: string | undefined): void {
		const { size } = this.#frontier;
		if (head !== undefined && !equalBytes(this.#frontier.root(), head.root)) {
			throw new Fault(
				null,
				"checkpoint",
				"the entries and tiles agree with each other and give another root than it names",
			);
		}
		if (head !== undefined && this.#signerOf(head) === undefined) {
			throw new Fault(null, "checkpoint", "no trusted key signed it");
		}
		if (outgrows(this.#store, size) && this.#store.readCheckpoint() === text) {
			throw new Fault(size, "checkpoint", `tiles show that the log once had more than the ${size} entries it names`);
		}
		if (hashesAt(0, size) !== size) throw new TypeError("a log has as many leaf hashes as entries");
	}

	#signerOf(checkpoint: SignedCheckpoint): PublicKey["keyId"] | undefined {
		return this.#keys.find((key) => checkpoint.isSignedBy(key))?.keyId;
	}
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function parseEntry(bytes: Uint8Array): JournalEntry | undefined {
	try {
		return journalEntrySchema.parse(parseCanonicalJson(strictUtf8.decode(bytes)));
	} catch {
		return undefined;
	}
}
