import { newId } from "../../core/index.ts";
import type { Session } from "../store/store.ts";

/** A control plane that was not heard of so long has lost its WebSockets. */
export const CHANNEL_STALE_MS = 30_000;

/** Whether some control plane holds an open WebSocket of the territory (conduits section 4.3; two connections are two). */
export async function hasChannel({ db, nowMs }: Session, territoryId: string): Promise<boolean> {
	const open = await db
		.selectFrom("channels")
		.select("id")
		.where("territory_id", "=", territoryId)
		.where("seen_at", ">", nowMs - CHANNEL_STALE_MS)
		.executeTakeFirst();
	return open !== undefined;
}

export async function openChannel({ db, nowMs }: Session, territoryId: string, serverId: string): Promise<string> {
	const id = newId<string>(nowMs);
	const row = { id, territory_id: territoryId, server_id: serverId, seen_at: nowMs };
	await db.insertInto("channels").values(row).execute();
	return id;
}

export async function closeChannel({ db }: Session, channelId: string): Promise<void> {
	await db.deleteFrom("channels").where("id", "=", channelId).execute();
}

/** Said every few seconds for all channels of one control plane; what is stale is swept. */
export async function refreshChannels({ db, nowMs }: Session, serverId: string): Promise<void> {
	await db.updateTable("channels").set({ seen_at: nowMs }).where("server_id", "=", serverId).execute();
	await db
		.deleteFrom("channels")
		.where("seen_at", "<", nowMs - 10 * CHANNEL_STALE_MS)
		.execute();
}
