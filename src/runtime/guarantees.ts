import type { Failure } from "../core/index.ts";
import type { PlanRequest } from "./driver.ts";
import { failures } from "./failures.ts";
import type { DriverName, Guarantee } from "./schema.ts";

export interface Guarantees {
	readonly kept: readonly Guarantee[];
	readonly notKept: readonly { readonly guarantee: Guarantee; readonly reason: string }[];
}

const SHARED_KERNEL = "the workload runs on the host's own kernel";

/** What both drivers that isolate by the host's kernel keep, and what no such driver can. */
export const SHARED_KERNEL_GUARANTEES: Guarantees = {
	kept: [
		"filesystem-isolation",
		"readonly-root",
		"process-isolation",
		"no-new-privileges",
		"syscall-filter",
		"network-deny-by-default",
		"limits-enforced",
	],
	notKept: [
		{ guarantee: "separate-kernel", reason: SHARED_KERNEL },
		{ guarantee: "verified-root", reason: "the root was digested before the run, not at every read" },
		{ guarantee: "measured-boot", reason: SHARED_KERNEL },
		{ guarantee: "memory-encrypted", reason: SHARED_KERNEL },
		{ guarantee: "deterministic", reason: "time, scheduling and addresses differ from run to run" },
		{ guarantee: "attestable", reason: "no hardware vouches for this machine" },
	],
};

/** Demanded and not kept, each with the driver's reason. */
export function unkeptDemands(driver: DriverName, request: PlanRequest, guarantees: Guarantees): readonly Failure[] {
	return request.workload.demands
		.filter((guarantee) => !guarantees.kept.includes(guarantee))
		.map((guarantee) => {
			const reason = guarantees.notKept.find((row) => row.guarantee === guarantee)?.reason ?? "it has no means to";
			return failures.failure("guarantee-not-kept", { driver, guarantee, reason });
		});
}

/** Folders of the machine itself: what is written there acts on it. */
const NEVER_SHOWN = ["/", "/proc", "/sys", "/dev", "/run", "/etc", "/usr", "/boot"];

/** A workspace or exposed folder that would show the gate's socket or the machine's own interfaces is no isolation. */
export function unsafeSources(request: PlanRequest): readonly Failure[] {
	const { workspace, exposed } = request.workload;
	const refuse = (source: string, reason: string): Failure =>
		failures.failure("workspace-not-possible", { source, reason });
	const shown = [...(workspace === null ? [] : [workspace.source]), ...exposed];
	const escaping = (workspace?.protected ?? []).filter(
		(path) => path.startsWith("/") || path.split("/").includes(".."),
	);
	const refused = escaping.map((path) => refuse(path, "a protected path must lie in the workspace"));
	return [
		...refused,
		...shown.flatMap((source) => {
			if (NEVER_SHOWN.includes(source) || /^\/(?:proc|sys|dev)\//.test(source))
				return [refuse(source, "it belongs to the machine")];
			if (isWithin(request.runDirectory, source)) return [refuse(source, "it holds the private folder of this run")];
			return isWithin(source, request.runDirectory) ? [refuse(source, "it is private to this run")] : [];
		}),
	];
}

function isWithin(path: string, folder: string): boolean {
	return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}
