import type { z } from "zod";
import type { territorySchema } from "../../api/people/schema.ts";
import { personOf } from "../directives/create.ts";
import type { Context, Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { beginsWith, holds } from "../matching.ts";
import { afterId, pageOfRows } from "../paging.ts";
import { jsonOf, jsonText, timeOf } from "../rows.ts";
import { heldBy } from "../store/queue.ts";
import type { Session } from "../store/store.ts";
import type { TerritoryRow } from "../store/tables.ts";
import { hasChannel } from "./channels.ts";

async function ownTerritory({ db }: Session, { identity }: Context, id: string): Promise<TerritoryRow> {
	const row = await db
		.selectFrom("territories")
		.selectAll()
		.where("id", "=", id)
		.where("account_id", "=", personOf(identity).accountId)
		.executeTakeFirst();
	if (row === undefined) throw refusal("not-found", { kind: "territory", id });
	return row;
}

async function shown(session: Session, row: TerritoryRow): Promise<z.input<typeof territorySchema>> {
	const certificate = await session.db
		.selectFrom("certificates")
		.select(({ fn }) => fn.max("expires_at").as("expires_at"))
		.where("territory_id", "=", row.id)
		.where("revoked_at", "is", null)
		.executeTakeFirst();
	return {
		id: row.id,
		name: row.name,
		kind: row.kind as "server",
		status: row.status as "online",
		platform: row.platform,
		display_name: row.display_name,
		labels: jsonOf(row.labels),
		capacity: jsonOf(row.capacity),
		capabilities: jsonOf(row.capabilities),
		runtime_status: jsonOf(row.runtime_status),
		location: row.location,
		tags: jsonOf(row.tags),
		nexus_version: row.nexus_version,
		last_heartbeat_at: timeOf(row.last_heartbeat_at),
		websocket_connected: await hasChannel(session, row.id),
		running_directives: (await heldBy(session, [row.id])).get(row.id) ?? 0,
		certificate_expires_at: timeOf(certificate?.expires_at ?? null),
		created_at: timeOf(row.created_at),
		updated_at: timeOf(row.updated_at),
	};
}

async function revokeAll({ db, nowMs, wake }: Session, territoryId: string): Promise<number> {
	const { numUpdatedRows } = await db
		.updateTable("certificates")
		.set({ revoked_at: nowMs })
		.where("territory_id", "=", territoryId)
		.where("revoked_at", "is", null)
		.executeTakeFirst();
	wake({ kind: "territory-shut-out", territoryId });
	return Number(numUpdatedRows);
}

async function updated(session: Session, id: string, values: Partial<TerritoryRow>): Promise<TerritoryRow> {
	return session.db
		.updateTable("territories")
		.set({ ...values, updated_at: session.nowMs })
		.where("id", "=", id)
		.returningAll()
		.executeTakeFirstOrThrow();
}

export const territoryHandlers = {
	"territories.list": ({ identity, store }, { query }) =>
		store.read(async (session) => {
			const after = afterId(query);
			const { status, kind, tag, location } = query;
			const rows = await session.db
				.selectFrom("territories")
				.selectAll()
				.where("account_id", "=", personOf(identity).accountId)
				.$if(after !== undefined, (found) => found.where("id", "<", after ?? ""))
				.$if(status !== undefined, (found) => found.where("status", "=", status ?? ""))
				.$if(kind !== undefined, (found) => found.where("kind", "=", kind ?? ""))
				.$if(tag !== undefined, (found) => found.where(holds("tags", tag ?? "")))
				.$if(location !== undefined, (found) => found.where(beginsWith("location", location ?? "")))
				.orderBy("id", "desc")
				.limit(query.limit + 1)
				.execute();
			const page = pageOfRows(rows, query, ({ id }) => id);
			const territories = await Promise.all(page.rows.map((row) => shown(session, row)));
			return { status: 200, body: { territories, next_cursor: page.next_cursor } };
		}),
	"territories.show": (context, { path }) =>
		context.store.read(async (session) => {
			const row = await ownTerritory(session, context, path.territory_id);
			return { status: 200, body: await shown(session, row) };
		}),
	"territories.change": (context, { path, body }) =>
		context.store.transaction(async (session) => {
			const { id } = await ownTerritory(session, context, path.territory_id);
			context.note({ territoryId: id });
			const row = await updated(session, id, {
				...(body.display_name === undefined ? {} : { display_name: body.display_name }),
				...(body.location === undefined ? {} : { location: body.location }),
				...(body.tags === undefined ? {} : { tags: jsonText([...new Set(body.tags)]) }),
				...(body.max_concurrent === undefined ? {} : { max_concurrent: body.max_concurrent }),
			});
			return { status: 200, body: await shown(session, row) };
		}),
	"territories.decommission": (context, { path }) =>
		context.store.transaction(async (session) => {
			const { id } = await ownTerritory(session, context, path.territory_id);
			context.note({ territoryId: id, severity: "warn" });
			await revokeAll(session, id);
			// What it holds is not waited for: its leases end now, and the reaper decides about each.
			await session.db
				.updateTable("directives")
				.set({ lease_expires_at: session.nowMs - 1 })
				.where("territory_id", "=", id)
				.where("state", "in", ["leased", "running"])
				.execute();
			return { status: 200, body: await shown(session, await updated(session, id, { status: "decommissioned" })) };
		}),
	"territories.revokeCertificates": (context, { path }) =>
		context.store.transaction(async (session) => {
			const { id } = await ownTerritory(session, context, path.territory_id);
			const revoked = await revokeAll(session, id);
			context.note({ territoryId: id, severity: "warn", payload: { revoked } });
			return { status: 200, body: { territory_id: id, revoked } };
		}),
} as const satisfies Partial<Handlers>;
