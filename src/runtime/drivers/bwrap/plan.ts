import { type Digest, digestOf, digestOfJson, type Failure } from "../../../core/index.ts";
import { planNetwork } from "../../../egress/index.ts";
import type { LaunchPlan, PlanRequest, Unmet } from "../../driver.ts";
import { failures } from "../../failures.ts";
import { SHARED_KERNEL_GUARANTEES, unkeptDemands, unsafeSources } from "../../guarantees.ts";
import { planLimits, unmetLimits } from "../../limits/index.ts";
import { installCommand } from "../../programs.ts";
import { type Architecture, SYSCALL_TABLE, seccompProgram } from "../../seccomp/index.ts";
import { planTerminal } from "../../terminal.ts";
import { BASE_ENVIRONMENT, planView, type ViewEntry } from "../../view/index.ts";
import { bwrapArguments, DESCRIPTORS } from "./arguments.ts";
import type { BwrapFacts } from "./probe.ts";

export interface BwrapPlan extends LaunchPlan<"bwrap"> {
	/** Everything the workload sees. */
	readonly view: readonly ViewEntry[];
	/** Variables set for every workload; its own come after and stand in no plan. */
	readonly baseEnvironment: Readonly<Record<string, string>>;
	readonly bwrap: {
		/** What `--args` holds, but for the workload's variables. */
		readonly arguments: readonly string[];
		/** Descriptors by what they hold. */
		readonly descriptors: {
			readonly arguments: number;
			readonly seccomp: number;
			/** Set: the program is started from a sealed copy of this file, see `BwrapFacts.ownedBy`. */
			readonly program: { readonly fd: number; readonly path: string } | null;
			readonly files: readonly { readonly fd: number; readonly text: string }[];
		};
		readonly seccomp: { readonly architecture: Architecture; readonly digest: Digest };
	};
}

/** Connections carried at once; a workload that opens more is told no. */
const MAX_CONNECTIONS = 512;

/** bwrap is two processes of every run: its monitor outside and its reaper inside. */
const OVERHEAD = { processes: 2, userNamespace: "own" } as const;

export function planBwrap(request: PlanRequest, facts: BwrapFacts): { kind: "planned"; plan: BwrapPlan } | Unmet {
	const { workload, runId } = request;
	const limits = planLimits(workload.limits, facts.limits, runId, OVERHEAD);
	const { bwrap } = facts.programs;
	const { architecture } = facts;
	const [first, ...others] = [
		...notAvailable(facts),
		...unkeptDemands("bwrap", request, SHARED_KERNEL_GUARANTEES),
		...unsafeSources(request),
		...unmetLimits(limits),
	];
	if (first !== undefined) return { kind: "unmet", reasons: [first, ...others] };
	if (bwrap === null || architecture === null) throw new TypeError("facts without bwrap were found available");

	const network = planNetwork({
		gateSocket: request.gateSocket,
		loopbackListeners: request.loopbackListeners,
		maxConnections: MAX_CONNECTIONS,
	});
	const view = planView(request, facts.view);
	const files = view
		.filter((entry) => entry.kind === "file")
		.map(({ target, text }, index) => ({ fd: DESCRIPTORS.firstFile + index, target, text }));
	const terminal = planTerminal(request, DESCRIPTORS.terminal);
	const program = facts.ownedBy === "this-user" ? { fd: DESCRIPTORS.program, path: bwrap } : null;
	const plan: BwrapPlan = {
		schema: "vouch.launch-plan/v1",
		driver: "bwrap",
		runId,
		workloadDigest: digestOfJson(workload),
		guarantees: SHARED_KERNEL_GUARANTEES,
		limits: { enforced: limits.enforced, notEnforced: limits.notEnforced },
		view,
		baseEnvironment: BASE_ENVIRONMENT,
		bwrap: {
			arguments: bwrapArguments(view, new Map(files.map(({ target, fd }) => [target, fd])), workload.workingDirectory),
			descriptors: {
				arguments: DESCRIPTORS.arguments,
				seccomp: DESCRIPTORS.seccomp,
				program,
				files: files.map(({ fd, text }) => ({ fd, text })),
			},
			seccomp: { architecture, digest: digestOf(seccompProgram(SYSCALL_TABLE, architecture)) },
		},
		supervision: {
			wrapper: [],
			controlGroups: limits.controlGroups,
			resourceLimits: limits.resourceLimits,
			privateMounts: null,
			network,
			startDescriptor: DESCRIPTORS.start,
			...terminal.supervision,
			argv: [
				program === null ? bwrap : `/proc/self/fd/${program.fd}`,
				"--args",
				String(DESCRIPTORS.arguments),
				"--",
				...terminal.prefix,
				...commandOf(request),
			],
			workingDirectory: "/",
			signalTarget: "descendants",
			diskWriteBytes: limits.diskWriteBytes,
			afterwards: [],
		},
	};
	return { kind: "planned", plan };
}

/**
 * A program that isn't there ends with 127 and one that can't be run with 126, as in a shell; bwrap itself says 1 to both.
 * env(1) would take a first word with `=` for a variable, and an image need not have it.
 */
function commandOf({ workload, root }: PlanRequest): readonly string[] {
	const plain = root !== null || workload.argv[0]?.includes("=") === true;
	return plain ? workload.argv : ["/usr/bin/env", "--", ...workload.argv];
}

function notAvailable(facts: BwrapFacts): readonly Failure[] {
	const unavailable = (reason: string, fix: string): Failure =>
		failures.failure("driver-not-available", { driver: "bwrap", reason, fix });
	const missing = Object.entries(facts.programs).filter(([, path]) => path === null);
	if (missing.length > 0) {
		return missing.map(([name]) => unavailable(`${name} is not installed`, `Run \`${installCommand(name)}\`.`));
	}
	const trial =
		facts.trialError === null
			? []
			: [unavailable(facts.trialError, facts.restriction === null ? "" : `Run \`${facts.restriction.fix}\`.`)];
	return facts.architecture === null ? [...trial, unavailable("no system call table for this machine", "")] : trial;
}
