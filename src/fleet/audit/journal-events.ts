import { auditDigest } from "../../api/index.ts";
import type { JournalKeys } from "../../journal/index.ts";
import type { AuditEventId, JournalEntry } from "../../journal/schema.ts";
import { append } from "../journal/journal.ts";
import type { Session, Store } from "../store/store.ts";
import type { AuditEventRow } from "../store/tables.ts";
import { shownEvent } from "./shown.ts";

/** Events of one round, of all accounts together. */
const MOST_EVENTS = 500;
/** An event that is `pending` for longer belongs to a control plane that died: it is journaled as it stands. */
const PENDING_MS = 3_600_000;

/**
 * Puts digests of audit events into the journal, one account's in an entry: what is changed or removed afterwards no longer fits
 * an entry that others have a checkpoint of.
 */
export async function journalEvents(store: Store, keys: JournalKeys): Promise<number> {
	for (let count = 0; ; ) {
		const covered = await store.transaction((session) => journalSome(session, keys));
		count += covered;
		if (covered < MOST_EVENTS) return count;
	}
}

async function journalSome(session: Session, keys: JournalKeys): Promise<number> {
	const { db, nowMs, kind } = session;
	const query = db
		.selectFrom("audit_events")
		.selectAll()
		.where("journal_index", "is", null)
		.where((is) => is.or([is("completed_at", "is not", null), is("created_at", "<", nowMs - PENDING_MS)]))
		.orderBy("id")
		.limit(MOST_EVENTS);
	// What another control plane journals now is locked.
	const events = await (kind === "postgres" ? query.forUpdate().skipLocked() : query).execute();
	const groups = [...Map.groupBy(events, ({ account_id }) => account_id).values()];
	const entries = groups.map((covered) => entryOf(covered, nowMs));
	const places = await append(session, entries, keys);
	for (const [at, covered] of groups.entries()) {
		const ids = covered.map(({ id }) => id);
		const index = places[at]?.leafIndex ?? null;
		await db.updateTable("audit_events").set({ journal_index: index }).where("id", "in", ids).execute();
	}
	return events.length;
}

/** Of at least one event, in the order of their ids. */
function entryOf(events: readonly AuditEventRow[], nowMs: number): JournalEntry {
	return {
		kind: "audit",
		digest: auditDigest(events.map(shownEvent)),
		time: new Date(nowMs).toISOString(),
		first: events[0]?.id as AuditEventId,
		last: events.at(-1)?.id as AuditEventId,
		events: events.length,
	};
}
