import { z } from "zod";
import type { Session } from "../store/store.ts";

const idsSchema = z.array(z.string().max(128)).max(1000).catch([]);

/**
 * A node that has just started runs nothing: what it held before is over now, and need not wait until its leases run out. What it
 * still names has ended there, and its end is on the way. Taking the others back is the reaper's, as ever.
 */
export async function endLeasesOf({ db, nowMs }: Session, territoryId: string, stillNamed: unknown): Promise<void> {
	const named = idsSchema.parse(stillNamed);
	await db
		.updateTable("directives")
		.set({ lease_expires_at: nowMs - 1 })
		.where("territory_id", "=", territoryId)
		.where("state", "in", ["leased", "running"])
		.$if(named.length > 0, (rows) => rows.where("id", "not in", named))
		.execute();
}
