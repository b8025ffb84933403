import assert from "node:assert/strict";
import { after, test } from "node:test";
import { onBothDatabases } from "../../../test/fleet/databases.ts";
import { newId } from "../../core/index.ts";
import { noteEvent } from "../domain-events.ts";
import { addFacility, addOwner, directiveRow } from "../store/sample-rows.ts";
import { addDirective, countOf, SampleStores } from "../store/sample-store.ts";
import type { Store } from "../store/store.ts";
import { clean, DEFAULT_RETENTION } from "./clean.ts";

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);

onBothDatabases("old rows", (databases) => {
	const stores = new SampleStores(() => databases.fresh());
	after(() => stores.close());

	test("go when their time is over, in batches; an event that the journal has not stays", async () => {
		const clock = { nowMs: START_MS };
		const store = await stores.open(databases.fresh(), () => clock.nowMs);
		await fill(store, 1_500);
		clock.nowMs += 31 * DAY_MS;
		await clean(store, DEFAULT_RETENTION);
		assert.deepEqual(await counts(store), { log_chunks: 0, idempotency_keys: 0, audit_events: 3_000 });
		clock.nowMs += 60 * DAY_MS;
		await fill(store, 10);
		await clean(store, DEFAULT_RETENTION);
		const left = await counts(store);
		assert.deepEqual(left, { log_chunks: 10, idempotency_keys: 10, audit_events: 1_500 + 20 });
		await clean(store, { logChunkDays: 0, idempotencyKeyDays: 0, auditEventDays: 0 });
		assert.deepEqual(await counts(store), left, "no days: for ever");
	});
});

/** So many log chunks and keys, and of events as many that are in the journal and as many that are not. */
function fill(store: Store, rows: number): Promise<void> {
	return store.transaction(async (session) => {
		const { db, nowMs } = session;
		const owner = await addOwner(session);
		const directive = directiveRow(session, owner, await addFacility(session, owner));
		await addDirective(session, directive);
		const about = { accountId: owner.accountId, type: "tried" };
		for (let at = 0; at < rows; at++) {
			const bytes = Buffer.from("hi");
			const chunk = {
				directive_id: directive.id,
				stream: "stdout",
				seq: at,
				bytes,
				bytesize: 2,
				truncated: 0 as const,
			};
			await db
				.insertInto("log_chunks")
				.values({ ...chunk, created_at: nowMs })
				.execute();
			const key = { account_id: owner.accountId, key: newId<string>(nowMs), operation: "x", request_digest: "x" };
			await db
				.insertInto("idempotency_keys")
				.values({ ...key, status: 201, body: "{}", created_at: nowMs })
				.execute();
			await noteEvent(session, about);
		}
		await db.updateTable("audit_events").set({ journal_index: 0 }).where("created_at", "=", nowMs).execute();
		for (let at = 0; at < rows; at++) await noteEvent(session, about);
	});
}

async function counts(store: Store) {
	const tables = ["log_chunks", "idempotency_keys", "audit_events"] as const;
	return Object.fromEntries(
		await Promise.all(tables.map(async (table) => [table, await countOf(store, table)] as const)),
	);
}
