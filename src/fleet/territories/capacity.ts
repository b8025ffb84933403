import { jsonOf } from "../rows.ts";
import type { TerritoryRow } from "../store/tables.ts";

/** What scheduling reads of what a territory says of itself (conduits section 1.3). All of it is a stranger's JSON. */
interface Capacity {
	readonly max_concurrent?: unknown;
	readonly untrusted_driver?: unknown;
	readonly sandbox_health?: unknown;
}

/** Directives at once: an operator's word, else the territory's own, else one. */
export function maxConcurrent(territory: TerritoryRow): number {
	const told = jsonOf<Capacity>(territory.capacity).max_concurrent;
	return territory.max_concurrent ?? (Number.isInteger(told) && Number(told) > 0 ? Number(told) : 1);
}

/** Whether the driver that the profile needs works there. What a territory says nothing of counts as working. */
export function isSandboxHealthy(territory: TerritoryRow, profile: string): boolean {
	const { sandbox_health: health, untrusted_driver: untrusted } = jsonOf<Capacity>(territory.capacity);
	if (typeof health !== "object" || health === null) return true;
	const driver = driverOf(profile, untrusted);
	const entry: unknown = Object.hasOwn(health, driver) ? (health as Record<string, unknown>)[driver] : undefined;
	return typeof entry !== "object" || entry === null || (entry as { healthy?: unknown }).healthy !== false;
}

function driverOf(profile: string, untrusted: unknown): string {
	if (profile === "untrusted") return typeof untrusted === "string" ? untrusted : "bwrap";
	return profile === "trusted" ? "container" : profile;
}
