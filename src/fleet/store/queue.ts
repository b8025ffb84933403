import { type Selectable, sql } from "kysely";
import { afterEvent, type DirectiveEvent, type DirectiveState } from "../directives/states.ts";
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
export function lockDirective(session: Session, directiveId: string): Promise<Directive | undefined> {
	const query = session.db
		.selectFrom("facilities as f")
		.innerJoin("directives as d", "d.facility_id", "f.id")
		.selectAll("d")
		.where("d.id", "=", directiveId);
	return (session.kind === "postgres" ? query.forUpdate(["f", "d"]) : query).executeTakeFirst();
}

export function lockFacility(session: Session, facilityId: string): Promise<Facility | undefined> {
	return forUpdate(
		session,
		session.db.selectFrom("facilities").selectAll().where("id", "=", facilityId),
	).executeTakeFirst();
}

/** SQLite has one writer at a time, and it is this one. */
function forUpdate<Query extends { forUpdate(): Query }>(session: Session, query: Query): Query {
	return session.kind === "postgres" ? query.forUpdate() : query;
}

/** Puts a new directive where it belongs. Its facility is locked here. */
export async function addDirective(session: Session, directive: DirectiveRow): Promise<void> {
	await lockFacility(session, directive.facility_id);
	await session.db.insertInto("directives").values(directive).execute();
	await promote(session, directive.facility_id);
}

/** Makes the right directive of a locked facility ready, and no other; tells when there is one that was not. */
async function promote(session: Session, facilityId: string): Promise<void> {
	const next = sql`(select id from directives where facility_id = ${facilityId} and state = ${QUEUED}
		and (select locked_by_directive_id from facilities where id = ${facilityId}) is null
		order by priority desc, id limit 1)`;
	const { rows } = await sql<Pick<DirectiveRow, "id" | "account_id" | "sandbox_profile" | "ready">>`
		update directives set ready = 1 - ready
		where facility_id = ${facilityId} and ((ready = 1 and id is distinct from ${next}) or (ready = 0 and id = ${next}))
		returning id, account_id, sandbox_profile, ready`.execute(session.db);
	for (const { id: directiveId, account_id: accountId, sandbox_profile: profile, ready } of rows)
		if (ready === 1) session.wake({ kind: "directive-ready", accountId, directiveId, profile });
}

export interface Claim {
	readonly accountId: string;
	readonly territoryId: string;
	/** Those that the territory can run now. */
	readonly profiles: readonly string[];
	/** What the territory runs: workloads themselves, or only what a specification says. */
	readonly runs: "workloads" | "specifications";
	readonly most: number;
}

/** Directives that may be leased, the most urgent first, locked with their facilities. Whoever else claims gets others. */
export async function claimable(session: Session, claim: Claim): Promise<readonly Directive[]> {
	const { db } = session;
	if (claim.profiles.length === 0 || claim.most < 1) return [];
	const found: Directive[] = [];
	for (const profile of claim.profiles) {
		const query = db
			.selectFrom("directives as d")
			.innerJoin("facilities as f", "f.id", "d.facility_id")
			.selectAll("d")
			.where("d.account_id", "=", claim.accountId)
			.where("d.sandbox_profile", "=", profile)
			.where("d.ready", "=", READY)
			.$if(claim.runs === "specifications", (found) => found.where("d.needs_workload", "=", 0))
			.where((is) => is.or([is("f.affinity", "=", "none"), is("f.territory_id", "=", claim.territoryId)]))
			.orderBy("d.priority", "desc")
			.orderBy("d.id")
			.limit(claim.most);
		found.push(...(await (session.kind === "postgres" ? query.forUpdate(["d", "f"]).skipLocked() : query).execute()));
	}
	return found.sort((a, b) => b.priority - a.priority || (a.id < b.id ? -1 : 1)).slice(0, claim.most);
}

export interface LeaseTerms {
	readonly territoryId: string;
	readonly leaseId: string;
	readonly expiresAt: number;
	/** What the policies gave now, when it isn't what they gave at creation. */
	readonly changed?: Partial<
		Pick<DirectiveRow, "effective_capabilities" | "policy_snapshot" | "decision" | "workload" | "workload_digest">
	>;
}

/** Gives a claimed directive to a territory, and with it its facility. */
export async function lease(session: Session, directive: Directive, terms: LeaseTerms): Promise<Directive> {
	const locked = await session.db
		.updateTable("facilities")
		.set({ locked_by_directive_id: directive.id, updated_at: session.nowMs })
		.where("id", "=", directive.facility_id)
		.where("locked_by_directive_id", "is", null)
		.executeTakeFirst();
	if (locked.numUpdatedRows !== 1n) throw new Error(`facility ${directive.facility_id} of a ready directive is held`);
	return change(session, directive, "lease", {
		...terms.changed,
		ready: 0,
		territory_id: terms.territoryId,
		lease_id: terms.leaseId,
		lease_expires_at: terms.expiresAt,
		last_heartbeat_at: null,
	});
}

/**
 * Lets an event happen to a locked directive and stores what comes with it. A directive that leaves its holder gives its
 * facility to the next one. Throws TypeError when the event can't happen: callers look first.
 */
export async function change(
	session: Session,
	directive: Directive,
	event: DirectiveEvent,
	values: Partial<DirectiveRow> = {},
): Promise<Directive> {
	const state = afterEvent(directive.state as DirectiveState, event);
	if (state === undefined) throw new TypeError(`${event} can't happen to a directive that is ${directive.state}`);
	const changed = await session.db
		.updateTable("directives")
		.set({ ...values, state, updated_at: session.nowMs })
		.where("id", "=", directive.id)
		.returningAll()
		.executeTakeFirstOrThrow();
	session.wake({ kind: "directive-changed", directiveId: directive.id });
	if (state === "leased" || state === "running") return changed;
	await release(session, directive);
	return changed;
}

/** Gives up the facility when this directive holds it, and makes the next one ready. */
async function release(session: Session, { id, facility_id }: Directive): Promise<void> {
	await session.db
		.updateTable("facilities")
		.set({ locked_by_directive_id: null, updated_at: session.nowMs })
		.where("id", "=", facility_id)
		.where("locked_by_directive_id", "=", id)
		.execute();
	await promote(session, facility_id);
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

/** How many directives a territory holds. */
export async function heldBy(session: Session, territoryId: string): Promise<number> {
	const { count } = await session.db
		.selectFrom("directives")
		.select(sql<number>`count(*)`.as("count"))
		.where("territory_id", "=", territoryId)
		.where("state", "in", HELD)
		.executeTakeFirstOrThrow();
	return Number(count);
}
