import type { z } from "zod";
import type { entitySchema } from "../../api/people/schema.ts";
import { personOf } from "../directives/create.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { beginsWith, holds } from "../matching.ts";
import { afterId, pageOfRows } from "../paging.ts";
import { flagOf, jsonOf, timeOf } from "../rows.ts";
import type { BridgeEntityRow } from "../store/tables.ts";

function shown({ account_id: _, ...row }: BridgeEntityRow): z.input<typeof entitySchema> {
	return {
		...row,
		capabilities: jsonOf(row.capabilities),
		state: jsonOf(row.state),
		available: row.available === 1,
		last_seen_at: timeOf(row.last_seen_at),
		created_at: timeOf(row.created_at),
		updated_at: timeOf(row.updated_at),
	};
}

/** Devices behind bridges (conduits section 1.4). Only their bridge changes them, by its heartbeat. */
export const entityHandlers = {
	"entities.list": ({ identity, store }, { query }) =>
		store.read(async ({ db }) => {
			const after = afterId(query);
			const { territory_id, entity_type, capability, location, available } = query;
			let found = db.selectFrom("bridge_entities").selectAll().where("account_id", "=", personOf(identity).accountId);
			if (after !== undefined) found = found.where("id", "<", after);
			if (territory_id !== undefined) found = found.where("territory_id", "=", territory_id);
			if (entity_type !== undefined) found = found.where("entity_type", "=", entity_type);
			if (capability !== undefined) found = found.where(holds("capabilities", capability));
			if (location !== undefined) found = found.where(beginsWith("location", location));
			if (available !== undefined) found = found.where("available", "=", flagOf(available));
			const rows = await found
				.orderBy("id", "desc")
				.limit(query.limit + 1)
				.execute();
			const page = pageOfRows(rows, query, ({ id }) => id);
			return { status: 200, body: { bridge_entities: page.rows.map(shown), next_cursor: page.next_cursor } };
		}),
	"entities.show": ({ identity, store }, { path }) =>
		store.read(async ({ db }) => {
			const row = await db
				.selectFrom("bridge_entities")
				.selectAll()
				.where("id", "=", path.entity_id)
				.where("account_id", "=", personOf(identity).accountId)
				.executeTakeFirst();
			if (row === undefined) throw refusal("not-found", { kind: "device", id: path.entity_id });
			return { status: 200, body: shown(row) };
		}),
} as const satisfies Partial<Handlers>;
