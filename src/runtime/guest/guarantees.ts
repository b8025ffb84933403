import type { Guarantees } from "../guarantees.ts";
import type { Architecture } from "../seccomp/index.ts";

/** What every driver that boots an image with its own kernel keeps. */
export function machineGuarantees(architecture: Architecture | null): Guarantees {
	const filter = architecture === null ? [] : (["syscall-filter"] as const);
	const noFilter = {
		guarantee: "syscall-filter",
		reason: "no system call table for the image's architecture",
	} as const;
	return {
		kept: [
			"filesystem-isolation",
			"readonly-root",
			"process-isolation",
			"no-new-privileges",
			...filter,
			"network-deny-by-default",
			"limits-enforced",
			"separate-kernel",
			"verified-root",
		],
		notKept: [
			...(architecture === null ? [noFilter] : []),
			{ guarantee: "measured-boot", reason: "nothing outside of this machine measures the guest's kernel" },
			{ guarantee: "memory-encrypted", reason: "this machine can read the guest's memory" },
			{ guarantee: "deterministic", reason: "time and scheduling differ from run to run" },
			{ guarantee: "attestable", reason: "no hardware vouches for this machine" },
		],
	};
}
