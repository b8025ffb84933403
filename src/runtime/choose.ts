import type { Failure, NonEmpty } from "../core/index.ts";
import type { Host } from "../host/index.ts";
import type { Driver, LaunchPlan, PlanRequest, ProbeContext, RootShape } from "./driver.ts";
import { failures } from "./failures.ts";
import type { DriverName } from "./schema.ts";

export type Choice =
	| {
			readonly kind: "chosen";
			readonly driver: Driver;
			readonly plan: LaunchPlan;
	  }
	/** Every reason of every driver that was asked. */
	| { readonly kind: "unmet"; readonly reasons: NonEmpty<Failure> };

/** What drivers found on a machine: each looks once, when first asked. Its holder decides how long that counts as now. */
export interface Measurements {
	of(driver: Driver): Promise<unknown>;
}

export function measureOnce(host: Host, context: ProbeContext): Measurements {
	const found = new Map<Driver, Promise<unknown>>();
	return {
		of(driver) {
			const facts = found.get(driver) ?? driver.probe(host, context);
			found.set(driver, facts);
			return facts;
		},
	};
}

/**
 * The strongest driver that keeps everything the workload demands, by planning with each. A driver without strength (the
 * host itself) is taken only when `wanted` names it. Weaker ones aren't even looked at once a stronger one has a plan:
 * looking takes time.
 */
export async function chooseDriver(
	known: readonly Driver[],
	request: PlanRequest,
	wanted: DriverName | null,
	measured: Measurements,
): Promise<Choice> {
	const candidates =
		wanted === null ? known.filter(({ strength }) => strength > 0) : known.filter(({ name }) => name === wanted);
	const reasons: Failure[] = [];
	const shape = request.root?.kind ?? "host";
	for (const driver of candidates.toSorted((left, right) => right.strength - left.strength)) {
		if (!driver.roots.includes(shape)) {
			reasons.push(rootNotTaken(driver, shape));
			continue;
		}
		if (request.workload.secretFiles !== undefined && driver.secretFiles !== "shown") {
			reasons.push(failures.failure("secrets-not-taken", { driver: driver.name }));
			continue;
		}
		const planned = driver.plan(request, await measured.of(driver));
		if (planned.kind === "planned") return { kind: "chosen", driver, plan: planned.plan };
		reasons.push(...planned.reasons);
	}
	const [first, ...others] = reasons;
	if (first !== undefined) return { kind: "unmet", reasons: [first, ...others] };
	const names = known.map(({ name }) => name).join(", ");
	return { kind: "unmet", reasons: [failures.failure("driver-unknown", { driver: wanted ?? "any", known: names })] };
}

function rootNotTaken(driver: Driver, shape: RootShape): Failure {
	if (shape === "host" && driver.roots.includes("image")) {
		return failures.failure("image-needed", { driver: driver.name });
	}
	const taken = driver.roots.map((root) => WORDS[root]).join(", ");
	return failures.failure("root-not-taken", { driver: driver.name, shape: WORDS[shape], taken });
}

const WORDS: Readonly<Record<RootShape, string>> = {
	host: "this machine's own",
	folder: "a folder",
	image: "a built image",
};
