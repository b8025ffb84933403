import { canonicalJson, equalBytes, toBase64, utf8 } from "../../core/index.ts";
import {
	consistencyProof,
	inclusionProof,
	journalOriginOf,
	leafHash,
	nodeHash,
	parseCheckpoint,
	rangeHash,
	type SignedCheckpoint,
	type SubtreeHashes,
	signCheckpoint,
	treeHash,
} from "../../evidence/index.ts";
import type { Inclusion } from "../../evidence/schema.ts";
import type { JournalKeys } from "../../journal/index.ts";
import { type JournalEntry, journalEntrySchema } from "../../journal/schema.ts";
import type { Session } from "../store/store.ts";
import { journalFailures } from "./failures.ts";

/**
 * The journal of a fleet is one Merkle log in the store: entries, hashes and checkpoints as in a journal on disk
 * (`src/journal`), and any number of control planes that append. The row of its head is locked until the transaction
 * ends, so an entry is there exactly when what was done with it is.
 */

type Place = { readonly level: number; readonly position: number };
type Hashes = Map<string, Uint8Array>;

/** What this process signed last: it need not be verified again, whether or not it was committed. */
const lastSigned = new WeakMap<JournalKeys, string>();

/** Rows in one insert: PostgreSQL takes 65,535 parameters, SQLite 32,766. */
const MOST_ROWS = 2_000;

/** Appends entries and proves each against the checkpoint that covers all of them. Throws `journal-damaged`. */
export async function append(
	session: Session,
	entries: readonly JournalEntry[],
	keys: JournalKeys,
): Promise<readonly Inclusion[]> {
	const { db, kind } = session;
	if (entries.length === 0) return [];
	const query = db.selectFrom("journal_heads").selectAll();
	const head = await (kind === "postgres" ? query.forUpdate() : query).executeTakeFirstOrThrow();
	const signed = readHead(head.checkpoint, head.size, keys);
	const known = await hashesAt(session, frontierOf(head.size));
	const rootBefore = rangeHash(0, head.size, fromKnown(known));
	if (signed !== undefined && !equalBytes(rootBefore, signed.root)) throw damaged("its hashes do not give its root");
	const texts = entries.map((entry) => canonicalJson(journalEntrySchema.parse(entry)));
	const grown = texts.flatMap((text, at) => grow(known, head.size + at, leafHash(utf8(text))));
	const size = head.size + texts.length;
	const signer = keys.signer();
	const origin = signed?.origin ?? journalOriginOf(signer.publicKey);
	const checkpoint = signCheckpoint({ origin, size, root: rangeHash(0, size, fromKnown(known)) }, signer);
	lastSigned.set(keys, checkpoint);
	const rows = texts.map((entry, at) => ({ leaf_index: head.size + at, entry }));
	for (const some of inParts(rows)) await db.insertInto("journal_entries").values(some).execute();
	for (const some of inParts(grown)) await db.insertInto("journal_hashes").values(some).execute();
	await db.updateTable("journal_heads").set({ size, checkpoint }).execute();
	return rows.map(({ leaf_index: leafIndex }) => {
		const path = inclusionProof(leafIndex, size, fromKnown(known)).map(toBase64);
		return { leafIndex, path, checkpoint };
	});
}

/** An entry and its proof against the newest checkpoint; undefined when there is none of that index. */
export async function prove(
	session: Session,
	index: number,
): Promise<{ readonly entry: JournalEntry; readonly inclusion: Inclusion } | undefined> {
	const { db } = session;
	const { size, checkpoint } = await db.selectFrom("journal_heads").selectAll().executeTakeFirstOrThrow();
	const row = await db.selectFrom("journal_entries").select("entry").where("leaf_index", "=", index).executeTakeFirst();
	if (checkpoint === null || row === undefined || index >= size) return undefined;
	const known = await hashesFor(session, (hashes) => inclusionProof(index, size, hashes));
	const path = inclusionProof(index, size, fromKnown(known)).map(toBase64);
	return { entry: JSON.parse(row.entry), inclusion: { leafIndex: index, path, checkpoint } };
}

/** The proof that the journal only grew since it had `from` entries; undefined when it never had as many. */
export async function proveGrowth(
	session: Session,
	from: number,
): Promise<{ readonly size: number; readonly path: string[]; readonly checkpoint: string } | undefined> {
	const { size, checkpoint } = await session.db.selectFrom("journal_heads").selectAll().executeTakeFirstOrThrow();
	if (checkpoint === null || from > size) return undefined;
	const known = await hashesFor(session, (hashes) => consistencyProof(from, size, hashes));
	return { size, path: consistencyProof(from, size, fromKnown(known)).map(toBase64), checkpoint };
}

/** The stored hashes that a proof asks for. */
async function hashesFor(session: Session, prove: (hashes: SubtreeHashes) => unknown): Promise<Hashes> {
	const places: Place[] = [];
	prove((level, position) => {
		places.push({ level, position });
		return new Uint8Array(32);
	});
	return hashesAt(session, places);
}

export async function headOf({ db }: Session): Promise<{ readonly size: number; readonly checkpoint: string }> {
	const { size, checkpoint } = await db.selectFrom("journal_heads").selectAll().executeTakeFirstOrThrow();
	return { size, checkpoint: checkpoint ?? "" };
}

const BATCH = 1_000;

/** Recomputes the root from every entry and compares it with what was signed; answers how many there are. Throws `journal-damaged`. */
export async function checkJournal(session: Session, keys: JournalKeys): Promise<number> {
	const { db } = session;
	const head = await db.selectFrom("journal_heads").selectAll().executeTakeFirstOrThrow();
	const signed = readHead(head.checkpoint, head.size, keys);
	const leaves: Uint8Array[] = [];
	while (leaves.length < head.size) {
		const rows = await db
			.selectFrom("journal_entries")
			.selectAll()
			.where("leaf_index", ">=", leaves.length)
			.where("leaf_index", "<", head.size)
			.orderBy("leaf_index")
			.limit(BATCH)
			.execute();
		if (rows.length === 0 || rows.some(({ leaf_index }, at) => leaf_index !== leaves.length + at))
			throw damaged(`entry ${leaves.length} or one after it is missing`);
		leaves.push(...rows.map(({ entry }) => leafHash(utf8(entry))));
	}
	if (signed !== undefined && !equalBytes(treeHash(leaves), signed.root))
		throw damaged("its entries do not give its root");
	return head.size;
}

function readHead(text: string | null, size: number, keys: JournalKeys): SignedCheckpoint | undefined {
	if (text === null && size === 0) return undefined;
	const head = parseCheckpoint(text ?? "");
	if (head?.size !== size) throw damaged("its checkpoint is not of its size");
	const isTrusted =
		lastSigned.get(keys) === text ||
		head.isSignedBy(keys.signer().publicKey) ||
		keys.trusted().some((key) => head.isSignedBy(key));
	if (!isTrusted) throw damaged("no trusted key signed its checkpoint");
	return head;
}

/** Adds a leaf to the known hashes, and answers the perfect subtrees that it completes. */
function grow(known: Hashes, index: number, leaf: Uint8Array): readonly (Place & { readonly hash: Uint8Array })[] {
	const grown = [{ level: 0, position: index, hash: leaf }];
	let last = grown[0];
	while (last !== undefined) {
		const { level, position, hash } = last;
		known.set(nameOf(last), hash);
		if (position % 2 === 0) break;
		const left = fromKnown(known)(level, position - 1);
		last = { level: level + 1, position: (position - 1) / 2, hash: nodeHash(left, hash) };
		grown.push(last);
	}
	return grown;
}

/** The perfect subtrees that a tree of that size consists of. */
function frontierOf(size: number): readonly Place[] {
	const places: Place[] = [];
	rangeHash(0, size, (level, position) => {
		places.push({ level, position });
		return new Uint8Array(32);
	});
	return places;
}

async function hashesAt({ db }: Session, places: readonly Place[]): Promise<Hashes> {
	if (places.length === 0) return new Map();
	const rows = await db
		.selectFrom("journal_hashes")
		.selectAll()
		.where((is) =>
			is.or(places.map(({ level, position }) => is.and([is("level", "=", level), is("position", "=", position)]))),
		)
		.execute();
	return new Map(rows.map((row) => [nameOf(row), row.hash]));
}

function fromKnown(known: Hashes) {
	return (level: number, position: number): Uint8Array => {
		const hash = known.get(nameOf({ level, position }));
		if (hash === undefined) throw damaged(`hash ${position} of level ${level} is missing`);
		return hash;
	};
}

function nameOf({ level, position }: Place): string {
	return `${level} ${position}`;
}

function inParts<Row>(rows: readonly Row[]): readonly (readonly Row[])[] {
	return Array.from({ length: Math.ceil(rows.length / MOST_ROWS) }, (_, part) =>
		rows.slice(part * MOST_ROWS, (part + 1) * MOST_ROWS),
	);
}

function damaged(why: string): Error {
	return journalFailures.fail("fleet-journal-damaged", { why });
}
