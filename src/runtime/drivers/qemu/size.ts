import type { Limits } from "../../schema.ts";
import { type Acceleration, TRANSLATION_MIB } from "./machine.ts";

/** What a workload without a limit of its own gets. */
const DEFAULT_MEMORY_MIB = 1024;
/** The guest's kernel, its own program and page tables. */
const GUEST_OVERHEAD_MIB = 192;
/** QEMU itself, beside the guest's memory and translated code. */
const QEMU_OVERHEAD_MIB = 192;
const MEMORY_STEP_MIB = 64;
/** Emulated processors cost each boot, and most commands use one. */
const DEFAULT_PROCESSORS = { tcg: 1, kvm: 4 } as const;
/** Of the disk that takes what is written, when no limit says less. Sparse. */
const DEFAULT_SCRATCH_MIB = 16_384;
/** ext4 can't be smaller. */
const LEAST_SCRATCH_MIB = 4;
/** QEMU's threads: processors, input and output. */
const QEMU_PROCESSES = 256;

/** How large a machine is made for what a workload asks. */
export interface MachineSize {
	/** The workload's own, kept to the byte by the guest's control group. */
	readonly workloadMemoryMiB: number;
	readonly memoryMiB: number;
	readonly processors: number;
	readonly scratchMiB: number;
}

export function machineSize(limits: Limits, hostProcessors: number, acceleration: Acceleration): MachineSize {
	const workloadMemoryMiB = limits.memoryMiB ?? DEFAULT_MEMORY_MIB;
	const wanted =
		limits.cpuMillicores === null ? DEFAULT_PROCESSORS[acceleration] : Math.ceil(limits.cpuMillicores / 1000);
	// The kernel keeps a 64th of its memory to describe the rest.
	const needed = workloadMemoryMiB + GUEST_OVERHEAD_MIB + Math.ceil(workloadMemoryMiB / 64);
	return {
		workloadMemoryMiB,
		memoryMiB: Math.ceil(needed / MEMORY_STEP_MIB) * MEMORY_STEP_MIB,
		processors: Math.max(1, Math.min(wanted, hostProcessors)),
		scratchMiB: Math.max(LEAST_SCRATCH_MIB, limits.diskWriteMiB ?? DEFAULT_SCRATCH_MIB),
	};
}

/** What the control groups of this machine hold QEMU to: outer walls, should the guest's own fall. */
export function outerLimits(
	limits: Limits,
	size: MachineSize,
): Pick<Limits, "cpuMillicores" | "memoryMiB" | "processes"> {
	return {
		cpuMillicores: limits.cpuMillicores === null ? null : size.processors * 1000,
		memoryMiB: limits.memoryMiB === null ? null : size.memoryMiB + TRANSLATION_MIB + QEMU_OVERHEAD_MIB,
		processes: QEMU_PROCESSES,
	};
}
