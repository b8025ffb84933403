import type { Json } from "../../core/index.ts";
import { type ConductParts, type Driver, drivers, type Measurements, measureOnce } from "../../runtime/index.ts";
import type { DriverName } from "../../runtime/schema.ts";
import type { EngineParts } from "./parts.ts";

/** How long a look at the machine counts as now. */
const FRESH_MS = 5 * 60_000;

/** What drivers found here, looked at anew every few minutes: a daemon outlives what it measured at its start. */
export class FreshMeasurements implements Measurements {
	readonly #look: () => Measurements;
	readonly #nowMs: () => number;
	#found: Measurements;
	#lookedMs: number;

	constructor({ host, clock, directories }: Pick<ConductParts, "host" | "clock" | "directories">) {
		// No image: directives run in this machine's own root, and a trial that boots one takes long.
		this.#look = () => measureOnce(host, { cacheDirectory: directories.cache, image: async () => undefined });
		this.#nowMs = () => clock.monotonicMs();
		this.#found = this.#look();
		this.#lookedMs = this.#nowMs();
	}

	of(driver: Driver): Promise<unknown> {
		if (this.#nowMs() - this.#lookedMs > FRESH_MS) {
			this.#found = this.#look();
			this.#lookedMs = this.#nowMs();
		}
		return this.#found.of(driver);
	}
}

export interface DriverState {
	readonly driver: DriverName;
	readonly healthy: "healthy" | "unhealthy";
	/** What was found, and how to mend what is missing. */
	readonly details: Readonly<Record<string, string>>;
}

/** How each driver that could run a directive is. */
export function driverStates({
	measured,
	hostProfile,
}: Pick<EngineParts, "measured" | "hostProfile">): Promise<readonly DriverState[]> {
	const asked = drivers.filter(
		({ strength, roots }) => roots.includes("host") && (strength > 0 || hostProfile === "accepted"),
	);
	return Promise.all(asked.map(async (driver) => stateOf(driver, await measured.of(driver))));
}

function stateOf(driver: Driver, facts: unknown): DriverState {
	const checks = driver.explain(facts);
	const missing = checks.filter(({ status }) => status === "missing");
	const details = Object.fromEntries(checks.map(({ name, found }) => [name, found]));
	return { driver: driver.name, healthy: missing.length === 0 ? "healthy" : "unhealthy", details };
}

/** Conduits section 7.3: profiles that some healthy driver here serves. */
export function profilesOf(states: readonly DriverState[]): readonly string[] {
	const isHealthy = (name: DriverName) =>
		states.some(({ driver, healthy }) => driver === name && healthy === "healthy");
	const isolates = states.some(({ driver, healthy }) => driver !== "host" && healthy === "healthy");
	return [
		...(isHealthy("host") ? ["host"] : []),
		...(isolates ? ["untrusted"] : []),
		...(isHealthy("container") ? ["trusted"] : []),
	];
}

/** `capacity` of the territory's heartbeat (section 2.3.2). */
export function capacityOf(states: readonly DriverState[]): Readonly<Record<string, Json>> {
	const health = states.map(({ driver, healthy, details }) => [driver, { healthy: healthy === "healthy", details }]);
	const strongest = states.find(({ driver, healthy }) => driver !== "host" && healthy === "healthy");
	return {
		sandbox_health: Object.fromEntries(health) as Json,
		supported_profiles: [...profilesOf(states)],
		untrusted_driver: strongest?.driver ?? "bwrap",
	};
}
