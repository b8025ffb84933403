/**
 * qemu: a workload in a virtual machine with a kernel of its own, by QEMU, on the hardware or emulated.
 *
 * Hides     QEMU's many words, where it is confined, disks of a run, machines saved asleep, which hardware really works.
 * Promises  the same view as every driver; the root is verified at every read; what the workload wrote comes back at a
 *           graceful end; QEMU runs as a user of its own, without network, files or rights.
 * Never     gives a guest a network card, and never takes emulation unless it was asked for.
 * Start at  `plan.ts`, then `start.ts`; `template-making.ts` for warm starts.
 */
import type { Driver } from "../../driver.ts";
import type { QemuFacts } from "./facts.ts";
import { planQemu, type QemuPlan } from "./plan.ts";
import type { PoolRequest, WarmPool } from "./pool.ts";
import { explainQemu } from "./problems.ts";
import type { Warmed, WarmRequest } from "./warm.ts";

export type { QemuPlan } from "./plan.ts";
export type { PoolRequest, WarmPool } from "./pool.ts";
export type { Warmed, WarmRequest } from "./warm.ts";

// Loaded when a machine is wanted: most runs want none, and should not wait for its parts.
export async function warmImage(request: WarmRequest): Promise<Warmed> {
	const { warmImage: warm } = await import("./warm.ts");
	return warm(request);
}

export async function openPool(request: PoolRequest): Promise<WarmPool> {
	const { openPool: open } = await import("./pool.ts");
	return open(request);
}

/** A virtual machine by QEMU. */
export const qemuDriver: Driver<"qemu", QemuFacts> = {
	name: "qemu",
	strength: 80,
	summary: "a virtual machine with a kernel of its own and a verified root, by QEMU",
	doesNotProtectAgainst: "a hole in QEMU and in the walls around it, or in this machine's processor",
	roots: ["image"],
	secretFiles: "shown",
	starts: "held",
	probe: async (host, context) => (await import("./probe.ts")).probeQemu(host, context),
	explain: explainQemu,
	plan: planQemu,
	start: async (plan, secrets, host) => (await import("./start.ts")).startQemu(plan as QemuPlan, secrets, host),
	recover: async (runId, host, context) => (await import("./recover.ts")).recoverQemu(runId, host, context),
};
