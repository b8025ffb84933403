import type { Store } from "../store/store.ts";

/** Days that things are kept, by what they are; 0 or less keeps them for ever (conduits section 1.12). */
export interface Retention {
	readonly logChunkDays: number;
	readonly auditEventDays: number;
	readonly idempotencyKeyDays: number;
}

export const DEFAULT_RETENTION: Retention = { logChunkDays: 30, auditEventDays: 90, idempotencyKeyDays: 2 };

const DAY_MS = 86_400_000;
/** Rows of one transaction: others wait for it no longer than that takes. */
const BATCH = 1_000;

/** Removes what is older than it need be, some at a time. Audit events go only when the journal has their digest. */
export async function clean(store: Store, retention: Retention): Promise<void> {
	await inBatches(retention.logChunkDays, (before) => removeOld(store, "log_chunks", before));
	await inBatches(retention.idempotencyKeyDays, (before) => removeOld(store, "idempotency_keys", before));
	await inBatches(retention.auditEventDays, (before) => removeEvents(store, before));
}

/** `remove` answers whether there may be more. */
async function inBatches(days: number, remove: (ageMs: number) => Promise<"more" | "done">): Promise<void> {
	if (days <= 0) return;
	while ((await remove(days * DAY_MS)) === "more");
}

function removeOld(store: Store, table: "log_chunks" | "idempotency_keys", ageMs: number): Promise<"more" | "done"> {
	return store.transaction(async ({ db, nowMs }) => {
		const before = nowMs - ageMs;
		const last = await db
			.selectFrom(table)
			.select("created_at")
			.where("created_at", "<", before)
			.orderBy("created_at")
			.limit(1)
			.offset(BATCH - 1)
			.executeTakeFirst();
		const until = last === undefined ? before - 1 : last.created_at;
		await db.deleteFrom(table).where("created_at", "<=", until).execute();
		return last === undefined ? "done" : "more";
	});
}

/** By their ids, which begin with the time: there is an index on those. */
function removeEvents(store: Store, ageMs: number): Promise<"more" | "done"> {
	return store.transaction(async ({ db, nowMs }) => {
		const before = firstIdOf(nowMs - ageMs);
		const last = await db
			.selectFrom("audit_events")
			.select("id")
			.where("id", "<", before)
			.where("journal_index", "is not", null)
			.orderBy("id")
			.limit(1)
			.offset(BATCH - 1)
			.executeTakeFirst();
		await db
			.deleteFrom("audit_events")
			.where("id", "<=", last?.id ?? before)
			.where("journal_index", "is not", null)
			.execute();
		return last === undefined ? "done" : "more";
	});
}

/** Smaller than every UUIDv7 of that millisecond, and larger than all before (RFC 9562 section 5.7). */
function firstIdOf(timeMs: number): string {
	const hex = Math.max(0, timeMs).toString(16).padStart(12, "0");
	return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
