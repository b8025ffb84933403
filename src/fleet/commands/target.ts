import { jsonOf } from "../rows.ts";
import type { Session } from "../store/store.ts";
import type { BridgeEntityRow, TerritoryRow } from "../store/tables.ts";

export interface Target {
	readonly territory_id?: string | null | undefined;
	readonly location?: string | null | undefined;
	readonly tag?: string | null | undefined;
	readonly entity_ref?: string | null | undefined;
}

export type Found =
	| { readonly kind: "found"; readonly territory: TerritoryRow; readonly entity: BridgeEntityRow | null }
	/** A territory or device was named that is not there. */
	| { readonly kind: "unknown"; readonly what: string; readonly id: string }
	| { readonly kind: "none" };

/** Where a capability is invoked (conduits section 6.6): the territory named, else the best that offers it, else a bridge's device. */
export async function findTarget(
	session: Session,
	accountId: string,
	capability: string,
	target: Target,
): Promise<Found> {
	if (target.territory_id) return named(session, accountId, capability, target);
	// Who names a device means no other.
	const territory = target.entity_ref ? undefined : await bestTerritory(session, accountId, capability, target);
	if (territory !== undefined) return { kind: "found", territory, entity: null };
	return bestEntity(session, accountId, capability, target);
}

async function named({ db }: Session, accountId: string, capability: string, target: Target): Promise<Found> {
	const id = target.territory_id ?? "";
	const territory = await db
		.selectFrom("territories")
		.selectAll()
		.where("id", "=", id)
		.where("account_id", "=", accountId)
		.executeTakeFirst();
	if (territory === undefined) return { kind: "unknown", what: "territory", id };
	if (territory.kind !== "bridge") return { kind: "found", territory, entity: null };
	const entities = await db
		.selectFrom("bridge_entities")
		.selectAll()
		.where("territory_id", "=", id)
		.where("available", "=", 1)
		.orderBy("last_seen_at", "desc")
		.orderBy("id")
		.execute();
	const offering = entities.filter((entity) => offers(entity.capabilities, capability));
	const ref = target.entity_ref;
	const entity = ref ? offering.find(({ entity_ref }) => entity_ref === ref) : offering[0];
	if (ref && entity === undefined) return { kind: "unknown", what: "device", id: ref };
	return { kind: "found", territory, entity: entity ?? null };
}

async function bestTerritory({ db }: Session, accountId: string, capability: string, target: Target) {
	const online = await db
		.selectFrom("territories")
		.selectAll()
		.where("account_id", "=", accountId)
		.where("status", "=", "online")
		.where("last_heartbeat_at", "is not", null)
		.orderBy("last_heartbeat_at", "desc")
		.orderBy("id")
		.execute();
	return online.find(
		(territory) =>
			offers(territory.capabilities, capability) &&
			isAt(territory.location, target.location) &&
			(!target.tag || jsonOf<readonly string[]>(territory.tags).includes(target.tag)),
	);
}

async function bestEntity({ db }: Session, accountId: string, capability: string, target: Target): Promise<Found> {
	const available = await db
		.selectFrom("bridge_entities as e")
		.innerJoin("territories as t", "t.id", "e.territory_id")
		.selectAll("e")
		.where("e.account_id", "=", accountId)
		.where("e.available", "=", 1)
		.where("e.last_seen_at", "is not", null)
		// A device behind a bridge that is gone can't be reached.
		.where("t.status", "=", "online")
		.orderBy("e.last_seen_at", "desc")
		.orderBy("e.id")
		.execute();
	const entity = available.find(
		(one) =>
			offers(one.capabilities, capability) &&
			isAt(one.location, target.location) &&
			(!target.entity_ref || one.entity_ref === target.entity_ref),
	);
	if (entity === undefined) return { kind: "none" };
	const territory = await db
		.selectFrom("territories")
		.selectAll()
		.where("id", "=", entity.territory_id)
		.executeTakeFirstOrThrow();
	return { kind: "found", territory, entity };
}

/** Exactly that capability, among those that a territory or device says it has. */
export function offers(capabilities: string, capability: string): boolean {
	return jsonOf<readonly string[]>(capabilities).includes(capability);
}

function isAt(location: string | null, prefix: string | null | undefined): boolean {
	return !prefix || location?.startsWith(prefix) === true;
}
