import type { Store } from "../store/store.ts";

/** Days that things are kept, by what they are; 0 or less keeps them for ever (conduits section 1.12). */
export interface Retention {
	readonly logChunkDays: number;
	readonly auditEventDays: number;
	readonly idempotencyKeyDays: number;
}

export const DEFAULT_RETENTION: Retention = { logChunkDays: 30, auditEventDays: 90, idempotencyKeyDays: 2 };

const DAY_MS = 86_400_000;

/** Removes what is older than it need be. */
export async function clean(store: Store, retention: Retention): Promise<void> {
	const remove = async (table: "log_chunks" | "audit_events" | "idempotency_keys", days: number): Promise<void> => {
		if (days <= 0) return;
		await store.transaction(({ db, nowMs }) =>
			db
				.deleteFrom(table)
				.where("created_at", "<", nowMs - days * DAY_MS)
				.execute(),
		);
	};
	await remove("log_chunks", retention.logChunkDays);
	await remove("audit_events", retention.auditEventDays);
	await remove("idempotency_keys", retention.idempotencyKeyDays);
}
