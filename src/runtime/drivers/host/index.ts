/**
 * host: a workload on the machine itself, without isolation.
 *
 * Hides     nothing.
 * Promises  it ends with its run, within what limits the machine has; it says that it keeps no guarantee.
 * Never     is chosen by itself, or runs without the words that accept it.
 * Start at  `plan.ts`.
 */
import type { Driver } from "../../driver.ts";
import { removeControlGroups } from "../../limits/index.ts";
import { planHost } from "./plan.ts";
import { explainHost, type HostFacts, probeHost } from "./probe.ts";
import { startHost } from "./start.ts";

/** The machine itself: never chosen, only asked for by name and accepted in words. */
export const hostDriver: Driver<"host", HostFacts> = {
	name: "host",
	strength: 0,
	summary: "no isolation: the command runs as you, on this machine",
	doesNotProtectAgainst: "anything: it reads, writes and reaches whatever you can",
	roots: ["host"],
	probe: probeHost,
	explain: explainHost,
	plan: planHost,
	start: startHost,
	recover: removeControlGroups,
};
