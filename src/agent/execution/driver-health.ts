import type { Json } from "../../core/index.ts";
import { machinePlatform, openImageStore } from "../../image/index.ts";
import {
	type ConductParts,
	type Driver,
	drivers,
	type ImageRoot,
	type Measurements,
	measureOnce,
} from "../../runtime/index.ts";
import type { DriverName } from "../../runtime/schema.ts";
import type { EngineParts } from "./parts.ts";

/** How long a look at the machine counts as now. */
const FRESH_MS = 5 * 60_000;

/**
 * What drivers found here, looked at anew every few minutes: a daemon outlives what it measured at its start. Machines are looked at
 * each time, since pools and templates come and go.
 */
export class FreshMeasurements implements Measurements {
	readonly #look: () => Measurements;
	readonly #nowMs: () => number;
	#found: Measurements;
	#lookedMs: number;

	/** @param imageDirectory of the image store: a trial of this machine's processor may boot one of its images */
	constructor(
		{ host, clock, directories }: Pick<ConductParts, "host" | "clock" | "directories">,
		imageDirectory: string,
	) {
		const context = { cacheDirectory: directories.cache, image: () => anyImage(imageDirectory) };
		this.#look = () => measureOnce(host, context);
		this.#nowMs = () => clock.monotonicMs();
		this.#found = this.#look();
		this.#lookedMs = this.#nowMs();
	}

	of(driver: Driver): Promise<unknown> {
		if (bootsMachines(driver)) return this.#look().of(driver);
		if (this.#nowMs() - this.#lookedMs > FRESH_MS) {
			this.#found = this.#look();
			this.#lookedMs = this.#nowMs();
		}
		return this.#found.of(driver);
	}
}

function bootsMachines({ roots }: Driver): boolean {
	return roots.includes("image");
}

async function anyImage(directory: string): Promise<ImageRoot | undefined> {
	const store = openImageStore(directory);
	const fitting = (await store.list()).find(({ platform }) => platform === machinePlatform());
	const stored = fitting && (await store.resolve(fitting.digest));
	return stored && { kind: "image", ...stored };
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
	const asked = drivers.filter(({ strength }) => strength > 0 || hostProfile === "accepted");
	return Promise.all(asked.map(async (driver) => stateOf(driver, await measured.of(driver))));
}

function stateOf(driver: Driver, facts: unknown): DriverState {
	const checks = driver.explain(facts);
	const missing = checks.filter(({ status }) => status === "missing");
	const details = Object.fromEntries(checks.map(({ name, found }) => [name, found]));
	return { driver: driver.name, healthy: missing.length === 0 ? "healthy" : "unhealthy", details };
}

/** Conduits section 7.3: profiles that some healthy driver here serves, and each of those drivers by its own name. */
export function profilesOf(states: readonly DriverState[]): readonly string[] {
	const isolating = isolatingHere(states);
	const works = (name: DriverName) => states.some(({ driver, healthy }) => driver === name && healthy === "healthy");
	return [
		...(works("host") ? ["host"] : []),
		...(strongestHere(states) === undefined ? [] : ["untrusted"]),
		...(works("container") ? ["trusted"] : []),
		...(isolating.some(bootsMachines) ? ["vm"] : []),
		...isolating.map(({ name }) => name),
	];
}

/** Strongest first. */
function isolatingHere(states: readonly DriverState[]): readonly Driver[] {
	const healthy = new Set(states.filter((state) => state.healthy === "healthy").map(({ driver }) => driver));
	return drivers.filter(({ name, strength }) => strength > 0 && healthy.has(name));
}

/** What holds a directive that names nothing: the strongest that shows this machine's own system folders. */
export function strongestHere(states: readonly DriverState[]): Driver | undefined {
	return isolatingHere(states).find(({ roots }) => roots.includes("host"));
}

/** `capacity` of the territory's heartbeat (section 2.3.2). */
export function capacityOf(states: readonly DriverState[]): Readonly<Record<string, Json>> {
	const health = states.map(({ driver, healthy, details }) => [driver, { healthy: healthy === "healthy", details }]);
	return {
		sandbox_health: Object.fromEntries(health) as Json,
		supported_profiles: [...profilesOf(states)],
		untrusted_driver: strongestHere(states)?.name ?? "bwrap",
	};
}
