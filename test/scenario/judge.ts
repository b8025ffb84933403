import assert from "node:assert/strict";
import type { Store } from "../../src/fleet/index.ts";
import type { World } from "./fleet-world.ts";
import type { AcknowledgedRecord } from "./record.ts";

type Session = Parameters<Parameters<Store["read"]>[0]>[0];

/** How long a directive may be without an owner after its lease is over, when the jobs have run. */
const OWNERLESS_MS = 5_000;
const ENDED = ["succeeded", "failed", "canceled", "timed_out"];

/** What holds at every moment: one holder in a facility, the lock names it, and who is next is ready when there is none. */
export async function judgeFacilities({ db }: Session, accountId: string): Promise<void> {
	const facilities = await db
		.selectFrom("facilities")
		.select(["id", "locked_by_directive_id as lock"])
		.where("account_id", "=", accountId)
		.execute();
	const waiting = await db
		.selectFrom("directives")
		.select(["id", "facility_id", "state", "ready"])
		.where("account_id", "=", accountId)
		.where("state", "in", ["queued", "leased", "running"])
		.orderBy("priority", "desc")
		.orderBy("id")
		.execute();
	for (const { id, lock } of facilities) {
		const inIt = waiting.filter(({ facility_id }) => facility_id === id);
		const queued = inIt.filter(({ state }) => state === "queued");
		const held = inIt.filter(({ state }) => state !== "queued").map((one) => one.id);
		assert.ok(held.length <= 1, `facility ${id} has ${held.length} writers`);
		assert.equal(lock, held[0] ?? null, "the lock names who holds it");
		const ready = inIt.filter((one) => one.ready === 1).map((one) => one.id);
		assert.deepEqual(ready, lock === null ? queued.slice(0, 1).map((one) => one.id) : [], "who may be leased next");
	}
}

/** After a round of the jobs nothing is without an owner any more. */
export async function judgeOwners({ db, nowMs }: Session, accountId: string): Promise<void> {
	const ownerless = await db
		.selectFrom("directives")
		.select(["id", "lease_expires_at"])
		.where("account_id", "=", accountId)
		.where("state", "in", ["leased", "running"])
		.where("lease_expires_at", "<", nowMs - OWNERLESS_MS)
		.execute();
	assert.deepEqual(ownerless, [], "directives without an owner");
}

/** When all is over: what was acknowledged is so, once. */
export async function judgeEnd(world: World, accountId: string, record: AcknowledgedRecord): Promise<void> {
	await world.store.read(async (session) => {
		await judgeFacilities(session, accountId);
		await judgeDirectives(session, accountId, world, record);
		await judgeOutput(session, record);
		await judgeCommands(session, accountId, record);
		await judgeAudit(session, accountId);
	});
}

async function judgeDirectives(
	{ db }: Session,
	accountId: string,
	world: World,
	record: AcknowledgedRecord,
): Promise<void> {
	const rows = await db.selectFrom("directives").selectAll().where("account_id", "=", accountId).execute();
	const byId = new Map(rows.map((row) => [row.id, row]));
	for (const id of record.directives) assert.ok(byId.has(id), `directive ${id} was acknowledged and is gone`);
	const finished = await db
		.selectFrom("audit_events")
		.select("directive_id")
		.where("account_id", "=", accountId)
		.where("event_type", "=", "directive.finished")
		.execute();
	for (const row of rows) {
		const { id, state, attempts } = row;
		assert.ok(ENDED.includes(state), `directive ${id} never ended: it is ${state}`);
		assert.ok(attempts <= row.max_attempts, `directive ${id} was begun ${attempts} times of ${row.max_attempts}`);
		const runs = record.runs.get(id)?.size ?? 0;
		assert.ok(runs <= attempts, `directive ${id} ran under ${runs} leases and was begun ${attempts} times`);
		const ends = finished.filter(({ directive_id }) => directive_id === id).length;
		assert.equal(ends, row.finished_status === null ? 0 : 1, `directive ${id} (${state}) ended ${ends} times`);
		if (row.finished_status !== null)
			assert.equal(record.leaseOf(row.exit_code ?? -1), row.lease_id, `the end of ${id} was told under another lease`);
		const told = record.ends.get(id);
		if (told !== undefined)
			assert.deepEqual({ status: row.finished_status, exitCode: row.exit_code }, told, `the end of ${id}`);
		assert.equal(record.finalStates.get(id) ?? state, state, `directive ${id} ended, and then in another way`);
		judgeReceipt(row, world, record);
	}
}

function judgeReceipt(
	{ id, attempts, receipt_digest }: { id: string; attempts: number; receipt_digest: string | null },
	world: World,
	record: AcknowledgedRecord,
): void {
	if (attempts > 0) assert.ok(receipt_digest !== null, `directive ${id} has no receipt`);
	if (receipt_digest !== null)
		assert.ok(world.blob(receipt_digest.replace(/^sha256:/, "")) !== undefined, `the receipt of ${id} is gone`);
	const told = record.receipts.get(id);
	if (told !== undefined) assert.equal(receipt_digest, told, `the receipt of ${id} is another than its node was told`);
}

async function judgeOutput({ db }: Session, record: AcknowledgedRecord): Promise<void> {
	for (const [id, chunks] of record.chunks) {
		const kept = await db.selectFrom("log_chunks").select(["stream", "seq"]).where("directive_id", "=", id).execute();
		const names = new Set(kept.map(({ stream, seq }) => `${stream} ${seq}`));
		for (const chunk of chunks) assert.ok(names.has(chunk), `chunk ${chunk} of ${id} was acknowledged and is gone`);
	}
}

async function judgeCommands({ db }: Session, accountId: string, record: AcknowledgedRecord): Promise<void> {
	if (record.commands.length === 0) return;
	const rows = await db.selectFrom("commands").selectAll().where("account_id", "=", accountId).execute();
	const byId = new Map(rows.map((row) => [row.id, row]));
	for (const id of record.commands) assert.ok(byId.has(id), `command ${id} was acknowledged and is gone`);
	for (const { id, state, result } of rows) {
		assert.ok(
			["completed", "failed", "timed_out", "canceled"].includes(state),
			`command ${id} never ended: it is ${state}`,
		);
		const told = record.results.get(id);
		if (told !== undefined) assert.equal(JSON.parse(result).picture, told, `the result of command ${id}`);
	}
}

async function judgeAudit({ db }: Session, accountId: string): Promise<void> {
	const open = await db
		.selectFrom("audit_events")
		.select(["id", "event_type"])
		.where("account_id", "=", accountId)
		.where("journal_index", "is", null)
		.execute();
	assert.deepEqual(open, [], "events that the journal has not");
}
