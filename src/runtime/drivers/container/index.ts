/**
 * container: a workload in an OCI container, by podman and crun inside the supervisor's network namespace.
 *
 * Hides     podman's many words, its private folder per run, the script that stands in for crun.
 * Promises  the same view and the same system call table as bwrap; podman's own processes are outside of the limits.
 * Never     uses an image store, a daemon, a socket, or state that another podman sees.
 * Start at  `plan.ts`, then `folder.ts`.
 */
import type { Driver } from "../../driver.ts";
import { removeControlGroups } from "../../limits/index.ts";
import { planContainer } from "./plan.ts";
import { type ContainerFacts, explainContainer, probeContainer } from "./probe.ts";
import { startContainer } from "./start.ts";

/** An OCI container by podman and crun, without a daemon. */
export const containerDriver: Driver<"container", ContainerFacts> = {
	name: "container",
	strength: 40,
	summary: "an OCI container without privileges or capabilities, by podman and crun",
	doesNotProtectAgainst: "a hole in this machine's kernel, which the workload shares",
	roots: ["host", "folder"],
	secretFiles: "shown",
	probe: probeContainer,
	explain: explainContainer,
	plan: planContainer,
	start: startContainer,
	// Everything that podman knows of a run lies in the run's private folder: what can be left is processes.
	recover: removeControlGroups,
};
