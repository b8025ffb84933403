import type { LaunchPlan } from "../../driver.ts";
import type { GuestLimit } from "../../guest/index.ts";
import type { LimitName, Limits } from "../../schema.ts";
import type { MachineSize } from "./size.ts";

const MIB = 2 ** 20;

/** What the guest keeps by itself, exactly. Memory always: else a workload could take the guest's own. */
export function guestLimits(limits: Limits, size: MachineSize): Readonly<Partial<Record<GuestLimit, number>>> {
	return {
		memory: size.workloadMemoryMiB * MIB,
		...(limits.processes === null ? {} : { pids: limits.processes }),
		...(limits.openFiles === null ? {} : { nofile: limits.openFiles }),
		...(limits.cpuMillicores === null ? {} : { cpu: limits.cpuMillicores }),
	};
}

/** Where mke2fs counts a file system as small, and gives a sixteenth of it to inodes. */
const SMALL_MIB = 512;

/**
 * Bytes written by QEMU past which the run ends. The disk itself is as large as the limit and has less room than that for files:
 * the watch must end the run before the disk is full, so it looks for what fits on it.
 */
export function outerDiskBytes(limits: Limits): number | null {
	if (limits.diskWriteMiB === null) return null;
	const bytes = limits.diskWriteMiB * MIB;
	return bytes - bytes / (limits.diskWriteMiB < SMALL_MIB ? 8 : 32);
}

/** How each limit is kept, for the receipt. All can be, whatever control groups this machine has: the guest has its own. */
export function limitWords(limits: Limits, size: MachineSize): LaunchPlan["limits"] {
	const by: Readonly<Record<LimitName, string>> = {
		cpuMillicores: `control group in the guest, which has ${size.processors} processors`,
		memoryMiB: `control group in the guest, which has ${size.memoryMiB} MiB`,
		processes: "control group in the guest",
		openFiles: "RLIMIT_NOFILE in the guest",
		diskWriteMiB: "size of the disk written to, size of each tmpfs, supervisor watching bytes written",
		outputBytes: "Vouch counting",
		timeoutMs: "Vouch's clock",
	};
	const names = Object.keys(by) as LimitName[];
	return {
		enforced: names.filter((limit) => limits[limit] !== null).map((limit) => ({ limit, by: by[limit] })),
		notEnforced: names
			.filter((limit) => limits[limit] === null)
			.map((limit) => ({
				limit,
				reason:
					limit === "memoryMiB" ? `not asked for; the workload has ${size.workloadMemoryMiB} MiB` : "not asked for",
			})),
	};
}
