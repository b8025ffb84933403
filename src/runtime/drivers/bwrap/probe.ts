import type { Host } from "../../../host/index.ts";
import type { Check, ProbeContext } from "../../driver.ts";
import { type LimitFacts, limitChecks, probeLimits } from "../../limits/index.ts";
import { findPrograms, type Programs, programChecks } from "../../programs.ts";
import { type Architecture, probeArchitecture } from "../../seccomp/index.ts";
import { tryOnce } from "../../trials.ts";
import { probeView, type ViewFacts } from "../../view/index.ts";
import { NAMESPACE_ARGUMENTS } from "./arguments.ts";

export interface BwrapFacts {
	readonly programs: Programs<"bwrap" | "ip" | "nft">;
	/**
	 * Whether this user could change the program's file. If so a workload could too, through /proc/1/exe: as the same
	 * user, on the mount that the program was started from. Then a sealed copy is started instead.
	 */
	readonly ownedBy: "this-user" | "another-user";
	/** Null when a trial sandbox started; else what it said. */
	readonly trialError: string | null;
	/** What keeps ordinary users from making user namespaces here, and the command that lifts it. */
	readonly restriction: { readonly found: string; readonly fix: string } | null;
	/** Null on a machine without a system call table. */
	readonly architecture: Architecture | null;
	readonly view: ViewFacts;
	readonly limits: LimitFacts;
}

export async function probeBwrap(host: Host, { cacheDirectory }: ProbeContext): Promise<BwrapFacts> {
	const programs = await findPrograms(host, ["bwrap", "ip", "nft"]);
	const path = programs.bwrap;
	// The trial takes longest, so all else is looked at beside it.
	const [trialError, owner, restriction, view, limits, architecture] = await Promise.all([
		path === null ? "bwrap is not installed" : tried(host, path, cacheDirectory),
		path === null ? undefined : host.ownerOf(path),
		namespaceRestriction(host),
		probeView(host),
		probeLimits(host),
		probeArchitecture(host),
	]);
	return {
		programs,
		ownedBy: owner === host.userId ? "this-user" : "another-user",
		trialError,
		restriction,
		architecture,
		view,
		limits,
	};
}

function tried(host: Host, path: string, cacheDirectory: string): Promise<string | null> {
	const settings = RESTRICTIONS.map((restriction) => `/proc/sys/${restriction.path}`);
	return tryOnce(host, cacheDirectory, { program: path, settings }, async () => {
		const view = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"];
		const { exitCode, stderr } = await host.run([path, ...NAMESPACE_ARGUMENTS, ...view, "true"]);
		if (exitCode === 0) return null;
		return stderr.trim() || `exit code ${exitCode}`;
	});
}

/** Settings that various distributions use against user namespaces of ordinary users. */
const RESTRICTIONS: readonly { readonly path: string; readonly bad: string; readonly wanted: number }[] = [
	{ path: "kernel/apparmor_restrict_unprivileged_userns", bad: "1", wanted: 0 },
	{ path: "kernel/unprivileged_userns_clone", bad: "0", wanted: 1 },
	{ path: "user/max_user_namespaces", bad: "0", wanted: 15000 },
];

async function namespaceRestriction(host: Host): Promise<BwrapFacts["restriction"]> {
	if (host.userId === 0) return null;
	for (const { path, bad, wanted } of RESTRICTIONS) {
		if ((await host.readText(`/proc/sys/${path}`))?.trim() !== bad) continue;
		const name = path.replace("/", ".");
		return { found: `${name} is ${bad}`, fix: `sysctl -w ${name}=${wanted}` };
	}
	return null;
}

export function explainBwrap(facts: BwrapFacts): readonly Check[] {
	const { trialError, restriction, architecture } = facts;
	return [
		...programChecks(facts.programs),
		{
			name: "a trial sandbox",
			status: trialError === null ? "ok" : "missing",
			found: trialError ?? "started",
			fix: trialError === null ? null : (restriction?.fix ?? null),
		},
		{
			name: "user namespaces",
			status: restriction === null ? "ok" : "warning",
			found: restriction?.found ?? "allowed",
			fix: restriction?.fix ?? null,
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
