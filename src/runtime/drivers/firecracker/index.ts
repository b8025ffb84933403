/**
 * firecracker: a workload in a microVM, by Firecracker's API inside the jailer's jail.
 *
 * Hides     the jail, the API's requests and sockets, vsock, disks without serial numbers.
 * Promises  every request is in the plan and valid by Firecracker's published definition; the machine has a user, a root and
 *           namespaces of its own, and no network card.
 * Never     starts without the jailer, or where a kernel does not really boot: it has no emulation to fall back to.
 * Start at  `plan.ts`, then `calls.ts`.
 */
import type { Driver } from "../../driver.ts";
import { type FirecrackerPlan, planFirecracker } from "./plan.ts";
import { explainFirecracker, type FirecrackerFacts, probeFirecracker } from "./probe.ts";

// Loaded when a machine is wanted: most runs want none, and should not wait for its parts.
/** A microVM by Firecracker. */
export const firecrackerDriver: Driver<"firecracker", FirecrackerFacts> = {
	name: "firecracker",
	strength: 90,
	summary: "a microVM with a kernel of its own and a verified root, by Firecracker in the jailer's jail",
	doesNotProtectAgainst: "a hole in KVM or in Firecracker and its jail, or in this machine's processor",
	roots: ["image"],
	secretFiles: "shown",
	probe: probeFirecracker,
	explain: explainFirecracker,
	plan: planFirecracker,
	start: async (plan, secrets, host) =>
		(await import("./start.ts")).startFirecracker(plan as FirecrackerPlan, secrets, host),
	// Control groups and the folder of the run, with the jail in it, are the same as QEMU's.
	recover: async (runId, host, context) => (await import("../qemu/recover.ts")).recoverQemu(runId, host, context),
};
