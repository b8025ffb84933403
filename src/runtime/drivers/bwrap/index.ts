/**
 * bwrap: a workload in Linux namespaces, by bubblewrap inside the supervisor's network namespace.
 *
 * Hides     bubblewrap's words and descriptors, and that it is started from a sealed copy where the user owns its file.
 * Promises  what the plan's `view` lists is all that is visible; the workload's variables stand in no argument list.
 * Never     makes a network namespace of its own: the run's is made by the supervisor, out of the workload's reach.
 * Start at  `plan.ts`.
 */
import type { Driver } from "../../driver.ts";
import { removeControlGroups } from "../../limits/index.ts";
import { planBwrap } from "./plan.ts";
import { type BwrapFacts, explainBwrap, probeBwrap } from "./probe.ts";
import { startBwrap } from "./start.ts";

/** Linux namespaces by bubblewrap. */
export const bwrapDriver: Driver<"bwrap", BwrapFacts> = {
	name: "bwrap",
	strength: 50,
	summary: "Linux namespaces, a system call filter and no capabilities, by bubblewrap",
	doesNotProtectAgainst: "a hole in this machine's kernel, which the workload shares",
	roots: ["host", "folder"],
	starts: "held",
	secretFiles: "shown",
	probe: probeBwrap,
	explain: explainBwrap,
	plan: planBwrap,
	start: startBwrap,
	// Its processes die with the supervisor (--die-with-parent): only groups can be left.
	recover: removeControlGroups,
};
