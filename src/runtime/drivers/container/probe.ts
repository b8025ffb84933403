import type { Host } from "../../../host/index.ts";
import type { Check } from "../../driver.ts";
import { type LimitFacts, limitChecks, probeLimits } from "../../limits/index.ts";
import { findPrograms, type Programs, programChecks } from "../../programs.ts";
import { type Architecture, probeArchitecture } from "../../seccomp/index.ts";
import { probeView, type ViewFacts } from "../../view/index.ts";

export interface ContainerFacts {
	readonly programs: Programs<"podman" | "crun" | "conmon" | "ip" | "nft" | "unshare" | "mount" | "sh">;
	/** A small init that passes signals on and collects orphans, where Debian's package for it is installed. */
	readonly init: string | null;
	/** Null when namespaces can be made here; else what was said. */
	readonly trialError: string | null;
	readonly architecture: Architecture | null;
	/** The machine's highest process id: podman lowers RLIMIT_NPROC to it, and nothing can raise it again. */
	readonly highestProcessId: number;
	readonly view: ViewFacts;
	readonly limits: LimitFacts;
}

export async function probeContainer(host: Host): Promise<ContainerFacts> {
	const names = ["podman", "crun", "conmon", "ip", "nft", "unshare", "mount", "sh"] as const;
	const programs = await findPrograms(host, names);
	const [trialError, init, view, limits, architecture, highest] = await Promise.all([
		programs.unshare === null ? "unshare is not installed" : trial(host, programs.unshare),
		findPrograms(host, ["catatonit"]),
		probeView(host),
		probeLimits(host),
		probeArchitecture(host),
		host.readText("/proc/sys/kernel/pid_max"),
	]);
	return {
		programs,
		init: init.catatonit,
		trialError,
		architecture,
		highestProcessId: Number(highest ?? "32768"),
		view,
		limits,
	};
}

async function trial(host: Host, unshare: string): Promise<string | null> {
	const tried = await host.run([unshare, "--user", "--map-root-user", "--mount", "--pid", "--fork", "true"]);
	return tried.exitCode === 0 ? null : tried.stderr.trim() || `exit code ${tried.exitCode}`;
}

export function explainContainer(facts: ContainerFacts): readonly Check[] {
	const { trialError, init, architecture } = facts;
	return [
		...programChecks(facts.programs),
		{
			name: "user, mount and process namespaces",
			status: trialError === null ? "ok" : "missing",
			found: trialError ?? "made",
			fix: null,
		},
		{
			name: "an init for containers",
			status: init === null ? "warning" : "ok",
			found: init ?? "none: Ctrl-C reaches only programs that handle it",
			fix: init === null ? "apt-get install -y catatonit" : null,
		},
		{
			name: "system call table",
			status: architecture === null ? "missing" : "ok",
			found: architecture ?? "none for this machine",
			fix: null,
		},
		...limitChecks(facts.limits),
	];
}
