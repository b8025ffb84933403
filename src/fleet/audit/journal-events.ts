import { digestOfJson, type Json } from "../../core/index.ts";
import type { JournalKeys } from "../../journal/index.ts";
import type { AuditEventId } from "../../journal/schema.ts";
import { append } from "../journal/journal.ts";
import type { Session, Store } from "../store/store.ts";
import type { AuditEventRow } from "../store/tables.ts";

/** Events in one entry of the journal, and entries in one round. */
const MOST_EVENTS = 500;
const MOST_ENTRIES = 50;
/** An event that is `pending` for longer belongs to a control plane that died: it is journaled as it stands. */
const PENDING_MS = 3_600_000;

/** What of an event is covered: everything but where the entry is. */
export function coveredEvent({ journal_index: _, ...event }: AuditEventRow): Json {
	return { ...event };
}

/** Digest of some events, in the order of their ids: who has them can compute it again. */
export function eventsDigest(events: readonly AuditEventRow[]) {
	const sorted = [...events].sort((a, b) => (a.id < b.id ? -1 : 1));
	return digestOfJson(sorted.map(coveredEvent));
}

/**
 * Puts digests of audit events into the journal, one account's in an entry: what is changed or removed afterwards no longer fits
 * an entry that others have a checkpoint of.
 */
export async function journalEvents(store: Store, keys: JournalKeys): Promise<number> {
	let count = 0;
	for (let entries = 0; entries < MOST_ENTRIES; entries++) {
		const covered = await store.transaction((session) => journalSome(session, keys));
		count += covered;
		if (covered === 0) break;
	}
	return count;
}

async function journalSome(session: Session, keys: JournalKeys): Promise<number> {
	const { db, nowMs, kind } = session;
	const waiting = db
		.selectFrom("audit_events")
		.where("journal_index", "is", null)
		.where((is) => is.or([is("completed_at", "is not", null), is("created_at", "<", nowMs - PENDING_MS)]));
	const oldest = await waiting.select("account_id").orderBy("id").limit(1).executeTakeFirst();
	if (oldest === undefined) return 0;
	const query = waiting.selectAll().where("account_id", "=", oldest.account_id).orderBy("id").limit(MOST_EVENTS);
	const events = await (kind === "postgres" ? query.forUpdate().skipLocked() : query).execute();
	const first = events[0];
	const last = events.at(-1);
	// Another control plane has them.
	if (first === undefined || last === undefined) return 0;
	const entry = {
		kind: "audit" as const,
		digest: eventsDigest(events),
		time: new Date(nowMs).toISOString(),
		first: first.id as AuditEventId,
		last: last.id as AuditEventId,
		events: events.length,
	};
	const [inclusion] = await append(session, [entry], keys);
	const ids = events.map(({ id }) => id);
	await db
		.updateTable("audit_events")
		.set({ journal_index: inclusion?.leafIndex ?? null })
		.where("id", "in", ids)
		.execute();
	return events.length;
}
