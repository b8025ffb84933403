import type { Host } from "../../../host/index.ts";
import type { Check } from "../../driver.ts";
import { type LimitFacts, limitChecks, probeLimits } from "../../limits/index.ts";

export interface HostFacts {
	readonly limits: LimitFacts;
}

export async function probeHost(host: Host): Promise<HostFacts> {
	return { limits: await probeLimits(host) };
}

export function explainHost(facts: HostFacts): readonly Check[] {
	return limitChecks(facts.limits);
}
