import { newId } from "../../core/index.ts";
import { territoryOf } from "../directives/poll.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { flagOf, jsonOf, jsonText, textOf } from "../rows.ts";
import { HEARTBEAT_SECONDS, HEARTBEAT_WITH_CHANNEL_SECONDS, type Services } from "../services.ts";
import type { Session } from "../store/store.ts";
import type { TerritoryRow } from "../store/tables.ts";
import { hasChannel } from "./channels.ts";
import { endLeasesOf } from "./restarted.ts";
import { versionsFor } from "./versions.ts";

type Heartbeat = Handlers["nodes.heartbeat"];
type Request = Parameters<Heartbeat>[1]["body"];

/** Conduits section 2.3.2. What is left out or empty stays as it was; `capacity` is merged key by key. */
export function heartbeat(services: Services): Heartbeat {
	return async ({ identity, store }, { body }) => {
		const territory = territoryOf(identity);
		const connected = await store.transaction(async (session) => {
			await session.db
				.updateTable("territories")
				.set({ ...reported(territory, body), last_heartbeat_at: session.nowMs, updated_at: session.nowMs })
				.where("id", "=", territory.id)
				.execute();
			const { just_started, directive_ids } = body.runtime_status ?? {};
			if (just_started === true) await endLeasesOf(session, territory.id, directive_ids);
			if (territory.kind === "bridge" && body.bridge_entities?.length)
				await reconcileEntities(session, territory, body.bridge_entities);
			return hasChannel(session, territory.id);
		});
		return {
			status: 200,
			body: {
				ok: true,
				territory_id: territory.id,
				next_heartbeat_interval_seconds: connected ? HEARTBEAT_WITH_CHANNEL_SECONDS : HEARTBEAT_SECONDS,
				websocket_connected: connected,
				...versionsFor(body.nexus_version, services),
			},
		};
	};
}

function reported(territory: TerritoryRow, body: Request): Partial<TerritoryRow> {
	const version = textOf(body.nexus_version);
	const running = body.running_directives_count ?? null;
	const status = { ...body.runtime_status, ...(running === null ? {} : { running_directives: running }) };
	return {
		...(version === null ? {} : { nexus_version: version }),
		...(isFilled(body.labels) ? { labels: jsonText(body.labels) } : {}),
		...(isFilled(body.capacity)
			? { capacity: jsonText({ ...jsonOf<object>(territory.capacity), ...body.capacity }) }
			: {}),
		...(body.capabilities?.length ? { capabilities: jsonText(body.capabilities) } : {}),
		...(isFilled(status) ? { runtime_status: jsonText(status) } : {}),
		...(territory.status === "offline" ? { status: "online" } : {}),
	};
}

function isFilled(value: object | null | undefined): boolean {
	return value !== null && value !== undefined && Object.keys(value).length > 0;
}

type Entities = NonNullable<Request["bridge_entities"]>;

/** The whole list replaces what was known: what it does not name is no longer available, and is never deleted. */
async function reconcileEntities(
	{ db, nowMs }: Session,
	{ id, account_id }: TerritoryRow,
	entities: Entities,
): Promise<void> {
	await db.updateTable("bridge_entities").set({ available: 0 }).where("territory_id", "=", id).execute();
	for (const entity of entities) {
		const ref = entity.entity_ref.trim();
		if (ref === "") continue;
		if (entity.entity_type.trim() === "") {
			const problems = [`bridge_entities: ${ref} has no entity_type`];
			throw refusal("validation-failed", { what: "The heartbeat", problems: problems.join() }, { details: problems });
		}
		const told = {
			entity_type: entity.entity_type,
			display_name: entity.display_name ?? null,
			capabilities: jsonText(entity.capabilities ?? []),
			location: entity.location ?? null,
			state: jsonText(entity.state ?? {}),
			available: flagOf(entity.available ?? true),
			last_seen_at: nowMs,
			updated_at: nowMs,
		};
		await db
			.insertInto("bridge_entities")
			.values({ ...told, id: newId(nowMs), account_id, territory_id: id, entity_ref: ref, created_at: nowMs })
			.onConflict((conflict) => conflict.columns(["territory_id", "entity_ref"]).doUpdateSet(told))
			.execute();
	}
}
