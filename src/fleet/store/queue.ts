import { type Selectable, sql } from "kysely";
import { afterEvent, type DirectiveEvent, type DirectiveState } from "../directives/states.ts";
import { flagOf } from "../rows.ts";
import { insertEach, isOneOf, updateEach } from "./bulk.ts";
import type { Session } from "./store.ts";
import type { DirectiveRow, FacilityRow } from "./tables.ts";

export type Directive = Selectable<DirectiveRow>;
export type Facility = Selectable<FacilityRow>;

/**
 * The queue. At most one directive of a facility is `ready`: the first of those that wait, while nobody holds the facility.
 * A claim reads ready ones only, so it costs the same whether ten or fifty thousand wait behind them.
 *
 * What an index is partial by stands in the query as a constant: with a parameter, SQLite could not use the index.
 *
 * Locks are always taken facility first, then directive; a claim, which comes from the other side, waits for none.
 */

const READY = sql.lit<1>(1);
const QUEUED = sql.lit("queued");
const HELD = sql<string>`('leased', 'running')`;

/** The directive, locked until the transaction ends, and before it its facility; undefined when there is none. */
export async function lockDirective(session: Session, directiveId: string): Promise<Directive | undefined> {
	return (await lockDirectives(session, [directiveId])).get(directiveId);
}

/** Those of them that are there, by id. Whoever locks several takes them in the order of their facilities. */
export async function lockDirectives(
	session: Session,
	ids: readonly string[],
): Promise<ReadonlyMap<string, Directive>> {
	const rows = await (session.kind === "postgres" ? lockedEach(session, ids) : directivesOf(session, ids));
	return new Map(rows.map((row) => [row.id, row]));
}

/** SQLite has one writer at a time, and it is this one. */
function directivesOf(session: Session, ids: readonly string[]): Promise<readonly Directive[]> {
	return session.db
		.selectFrom("directives")
		.selectAll()
		.where(isOneOf(session, "id", ids))
		.execute();
}

/** One after the other: PostgreSQL would read all facilities to lock those of fifty directives. */
async function lockedEach(session: Session, ids: readonly string[]): Promise<readonly Directive[]> {
	const { rows } = await sql<Directive>`
		select locked.* from (select id, facility_id from directives where ${isOneOf(session, "id", ids)}
			order by facility_id, id) as asked
		cross join lateral (select 1 from facilities where id = asked.facility_id for update) as facility
		cross join lateral (select * from directives where id = asked.id for update) as locked`.execute(session.db);
	return rows;
}

export async function lockFacility(session: Session, facilityId: string): Promise<Facility | undefined> {
	return (await lockFacilities(session, [facilityId])).get(facilityId);
}

/** Those of them that are there, by id, locked in their order. */
export async function lockFacilities(session: Session, ids: readonly string[]): Promise<ReadonlyMap<string, Facility>> {
	const query = session.db
		.selectFrom("facilities")
		.selectAll()
		.where(isOneOf(session, "id", ids))
		.orderBy("id");
	const rows = await (session.kind === "postgres" ? query.forUpdate() : query).execute();
	return new Map(rows.map((row) => [row.id, row]));
}

/** Puts new directives where they belong, in facilities that are locked. */
export async function addDirectives(
	session: Session,
	directives: readonly DirectiveRow[],
	facilities: ReadonlyMap<string, Facility>,
): Promise<void> {
	if (directives.length === 0) return;
	const { db } = session;
	const ready = await db
		.selectFrom("directives")
		.select(["id", "facility_id", "priority"])
		.where(isOneOf(session, "facility_id", [...facilities.keys()]))
		.where("ready", "=", READY)
		.execute();
	const isFree = ({ facility_id }: First) => facilities.get(facility_id)?.locked_by_directive_id === null;
	const waiting: readonly First[] = [...ready, ...directives.filter(({ state }) => state === "queued").filter(isFree)];
	const first = new Set([...Map.groupBy(waiting, ({ facility_id }) => facility_id).values()].map(firstOf));
	const overtaken = ready.filter((one) => !first.has(one)).map(({ id }) => id);
	if (overtaken.length > 0)
		await db
			.updateTable("directives")
			.set({ ready: 0 })
			.where(isOneOf(session, "id", overtaken))
			.execute();
	const rows = directives.map((row) => ({ ...row, ready: flagOf(first.has(row)) }));
	await insertEach(session, "directives", rows);
	for (const row of rows) if (row.ready === 1) tellReady(session, row);
}

type First = Pick<DirectiveRow, "id" | "facility_id" | "priority">;

/** The most urgent, and of those the oldest. */
function firstOf(waiting: readonly First[]): First | undefined {
	return waiting.toSorted(byUrgency)[0];
}

function byUrgency(a: First, b: First): number {
	return b.priority - a.priority || (a.id < b.id ? -1 : 1);
}

type Ready = Pick<DirectiveRow, "id" | "account_id" | "sandbox_profile">;

function tellReady(
	session: Session,
	{ id: directiveId, account_id: accountId, sandbox_profile: profile }: Ready,
): void {
	session.wake({ kind: "directive-ready", accountId, directiveId, profile });
}

/** Makes the right directive of each of these locked facilities ready, and no other; tells of those that were not. */
async function promote(session: Session, facilityIds: readonly string[]): Promise<void> {
	const now = sql<string | null>`(select id from directives where facility_id = f.id and ready = ${READY})`;
	const next = sql<string | null>`(select id from directives where facility_id = f.id and state = ${QUEUED}
		and f.locked_by_directive_id is null order by priority desc, id limit 1)`;
	const facilities = await session.db
		.selectFrom("facilities as f")
		.select([now.as("now"), next.as("next")])
		.where(isOneOf(session, "f.id", facilityIds))
		.execute();
	const turned = facilities.flatMap(({ now, next }) => (now === next ? [] : [now, next])).filter((id) => id !== null);
	if (turned.length === 0) return;
	const rows = await session.db
		.updateTable("directives")
		.set({ ready: sql`1 - ready` })
		.where(isOneOf(session, "id", turned))
		.returning(["id", "account_id", "sandbox_profile", "ready"])
		.execute();
	for (const row of rows) if (row.ready === 1) tellReady(session, row);
}

/** What territories of one account that run the same ask for, all at once. */
export interface Claim {
	readonly accountId: string;
	/** How many each of them takes at most. */
	readonly most: ReadonlyMap<string, number>;
	/** Those that the territories can run now. */
	readonly profiles: readonly string[];
	/** What they run: workloads themselves, or only what a specification says. */
	readonly runs: "workloads" | "specifications";
}

export interface Claimed {
	readonly directive: Directive;
	readonly territoryId: string;
	readonly origin: Pick<FacilityRow, "repo_url" | "repo_ref" | "import_path">;
}

/** Directives that may be leased, the most urgent first, locked with their facilities. Whoever else claims gets others. */
export async function claimable(session: Session, { most, ...terms }: Claim): Promise<readonly Claimed[]> {
	const left = new Map(most);
	const claimed: Claimed[] = [];
	const seen: string[] = [];
	for (;;) {
		const territoryIds = [...left].filter(([, count]) => count > 0).map(([id]) => id);
		const limit = territoryIds.reduce((sum, id) => sum + (left.get(id) ?? 0), 0);
		const found = limit === 0 ? [] : await firstReady(session, { ...terms, territoryIds, limit, seen });
		for (const { only, repo_url, repo_ref, import_path, ...directive } of found) {
			seen.push(directive.id);
			const territoryId = territoryIds.find((id) => (only ?? id) === id && (left.get(id) ?? 0) > 0);
			if (territoryId === undefined) continue;
			left.set(territoryId, (left.get(territoryId) ?? 0) - 1);
			claimed.push({ directive, territoryId, origin: { repo_url, repo_ref, import_path } });
		}
		// Those bound to a territory that takes no more may have stood before what another one takes.
		if (found.length < limit || limit === 0) return claimed;
	}
}

interface Ahead extends Omit<Claim, "most"> {
	readonly territoryIds: readonly string[];
	readonly limit: number;
	readonly seen: readonly string[];
}

async function firstReady(session: Session, ahead: Ahead) {
	const found = [];
	for (const profile of ahead.profiles) found.push(...(await readyOf(session, ahead, profile).execute()));
	return found.sort(byUrgency).slice(0, ahead.limit);
}

/** What the index `directives_ready` gives in its own order, as far as the limit goes. */
export function readyOf(
	session: Session,
	{ accountId, territoryIds, runs, limit, seen }: Omit<Ahead, "profiles">,
	profile: string,
) {
	const query = session.db
		.selectFrom("directives as d")
		.innerJoin("facilities as f", "f.id", "d.facility_id")
		.selectAll("d")
		.select(["f.repo_url", "f.repo_ref", "f.import_path"])
		.select(sql<string | null>`case f.affinity when 'none' then null else f.territory_id end`.as("only"))
		.where("d.account_id", "=", accountId)
		.where("d.sandbox_profile", "=", profile)
		.where("d.ready", "=", READY)
		.$if(seen.length > 0, (found) => found.where((is) => is.not(isOneOf(session, "d.id", seen))))
		.$if(runs === "specifications", (found) => found.where("d.needs_workload", "=", 0))
		.where((is) => is.or([is("f.affinity", "=", "none"), isOneOf(session, "f.territory_id", territoryIds)]))
		.orderBy("d.priority", "desc")
		.orderBy("d.id")
		.limit(limit);
	return session.kind === "postgres" ? query.forUpdate(["d", "f"]).skipLocked() : query;
}

/** One thing that happens to a locked directive, and what is stored with it. */
export interface Change {
	readonly directive: Directive;
	readonly event: DirectiveEvent;
	readonly values?: Partial<DirectiveRow>;
}

export interface LeaseTerms {
	readonly directive: Directive;
	readonly territoryId: string;
	readonly leaseId: string;
	readonly expiresAt: number;
	/** What the policies gave now, when it isn't what they gave at creation. */
	readonly changed?: Partial<
		Pick<DirectiveRow, "effective_capabilities" | "policy_snapshot" | "decision" | "workload" | "workload_digest">
	>;
}

/** Gives claimed directives to territories, and with each its facility. Answers what they are now, in the same order. */
export async function lease(session: Session, leases: readonly LeaseTerms[]): Promise<readonly Directive[]> {
	const locks = leases.map(({ directive }) => ({
		id: directive.facility_id,
		values: { locked_by_directive_id: directive.id, updated_at: session.nowMs },
	}));
	const locked = await updateEach(session, "facilities", locks, sql`facilities.locked_by_directive_id is null`);
	if (locked !== leases.length) throw new Error("the facility of a ready directive is held");
	const changes = leases.map(({ directive, territoryId, leaseId, expiresAt, changed }) => {
		const holder = {
			territory_id: territoryId,
			lease_id: leaseId,
			lease_expires_at: expiresAt,
			last_heartbeat_at: null,
		};
		return { directive, event: "lease", values: { ...changed, ...holder, ready: 0 } } as const;
	});
	return changeAll(session, changes);
}

export async function change(
	session: Session,
	directive: Directive,
	event: DirectiveEvent,
	values: Partial<DirectiveRow> = {},
): Promise<Directive> {
	const [changed] = await changeAll(session, [{ directive, event, values }]);
	return changed ?? directive;
}

/**
 * Lets events happen to locked directives and stores what comes with them. A directive that leaves its holder gives its
 * facility to the next one. Answers what they are now. Throws TypeError when an event can't happen: callers look first.
 */
export async function changeAll(session: Session, changes: readonly Change[]): Promise<readonly Directive[]> {
	const changed = changes.map((one) => afterChange(one, session.nowMs));
	const columns = ["state", "updated_at", ...new Set(changes.flatMap(({ values = {} }) => Object.keys(values)))];
	const updates = changed.map((row) => {
		const values = Object.fromEntries(columns.map((column) => [column, row[column as keyof Directive]]));
		return { id: row.id, values };
	});
	await updateEach(session, "directives", updates);
	for (const { id: directiveId } of changed) session.wake({ kind: "directive-changed", directiveId });
	await release(
		session,
		changed.filter(({ state }) => state !== "leased" && state !== "running"),
	);
	return changed;
}

function afterChange({ directive, event, values }: Change, nowMs: number): Directive {
	const state = afterEvent(directive.state as DirectiveState, event);
	if (state === undefined) throw new TypeError(`${event} can't happen to a directive that is ${directive.state}`);
	return { ...directive, ...values, state, updated_at: nowMs };
}

/** Gives up the facilities that these directives hold, and makes the next one of each ready. */
async function release(session: Session, directives: readonly Directive[]): Promise<void> {
	if (directives.length === 0) return;
	const ids = directives.map(({ id }) => id);
	const facilityIds = [...new Set(directives.map(({ facility_id }) => facility_id))];
	await session.db
		.updateTable("facilities")
		.set({ locked_by_directive_id: null, updated_at: session.nowMs })
		.where(isOneOf(session, "id", facilityIds))
		.where(isOneOf(session, "locked_by_directive_id", ids))
		.execute();
	await promote(session, facilityIds);
}

/** Identifiers of directives whose holder was not heard of in time, the longest silent first. */
export async function expired(session: Session, most: number): Promise<readonly string[]> {
	const rows = await session.db
		.selectFrom("directives")
		.select("id")
		.where("state", "in", HELD)
		.where("lease_expires_at", "<", session.nowMs)
		.orderBy("lease_expires_at")
		.limit(most)
		.execute();
	return rows.map(({ id }) => id);
}

/** How many directives each of these territories holds; none that holds nothing. */
export async function heldBy(session: Session, territoryIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
	const rows = await session.db
		.selectFrom("directives")
		.select(["territory_id", sql<number>`count(*)`.as("count")])
		.where(isOneOf(session, "territory_id", territoryIds))
		.where("state", "in", HELD)
		.groupBy("territory_id")
		.execute();
	return new Map(rows.map(({ territory_id, count }) => [territory_id ?? "", Number(count)]));
}
