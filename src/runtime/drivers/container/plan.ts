import { digestOfJson, type Failure } from "../../../core/index.ts";
import { planNetwork } from "../../../egress/index.ts";
import type { ControlGroup } from "../../../host/index.ts";
import type { LaunchPlan, PlanRequest, Unmet } from "../../driver.ts";
import { failures } from "../../failures.ts";
import { SHARED_KERNEL_GUARANTEES, unkeptDemands, unsafeSources } from "../../guarantees.ts";
import { DRIVER_GROUP_SUFFIX, planLimits, unmetLimits } from "../../limits/index.ts";
import { installCommand } from "../../programs.ts";
import { ociSeccomp, SYSCALL_TABLE } from "../../seccomp/index.ts";
import { planTerminal } from "../../terminal.ts";
import { BASE_ENVIRONMENT, mountsBelow, planView, type ViewEntry } from "../../view/index.ts";
import { containerArguments } from "./arguments.ts";
import { FOLDER, type FolderFile, PRELUDE, relativeToFolder, runtimeText, settingsText } from "./folder.ts";
import type { ContainerFacts } from "./probe.ts";

export interface ContainerPlan extends LaunchPlan<"container"> {
	/** Everything the workload sees. */
	readonly view: readonly ViewEntry[];
	/** Variables set for every workload; its own come after and stand in no plan. */
	readonly baseEnvironment: Readonly<Record<string, string>>;
	readonly container: {
		/** Private folder of this run's podman, and what is written there first. */
		readonly folder: string;
		readonly files: readonly FolderFile[];
		readonly links: readonly { readonly path: string; readonly to: string }[];
		readonly directories: readonly string[];
		/** Descriptor of the file of variables. */
		readonly environmentDescriptor: number;
		readonly environment: Readonly<Record<string, string>>;
	};
}

const MAX_CONNECTIONS = 512;
/** podman passes on those that follow the standard streams: the terminal's two. */
const TERMINAL_FD = 3;
const ENVIRONMENT_FD = 5;
/** crun's own process, while it makes the container. */
const OVERHEAD = { processes: 2, userNamespace: "own" } as const;

export function planContainer(
	request: PlanRequest,
	facts: ContainerFacts,
): { kind: "planned"; plan: ContainerPlan } | Unmet {
	const { workload, runId, runDirectory } = request;
	const limits = planLimits(workload.limits, facts.limits, runId, OVERHEAD);
	const { unshare, sh, podman, crun } = facts.programs;
	const { architecture } = facts;
	const [first, ...others] = [
		...notAvailable(facts),
		...unkeptDemands("container", request, SHARED_KERNEL_GUARANTEES),
		...unsafeSources(request),
		...unmetLimits(limits),
	];
	if (first !== undefined) return { kind: "unmet", reasons: [first, ...others] };
	if (unshare === null || sh === null || podman === null || crun === null || architecture === null) {
		throw new TypeError("facts without podman were found available");
	}

	const network = planNetwork({
		gateSocket: request.gateSocket,
		loopbackListeners: request.loopbackListeners,
		maxConnections: MAX_CONNECTIONS,
	});
	const shown = planView(request, facts.view);
	const view = [...shown, ...mountsBelow(shown, facts.view)];
	const terminal = planTerminal(request, TERMINAL_FD);
	const folder = `${runDirectory}/container`;
	const limited = limits.controlGroups.filter(({ files }) => files.length > 0).map(({ path }) => path);
	const plan: ContainerPlan = {
		schema: "vouch.launch-plan/v1",
		driver: "container",
		runId,
		workloadDigest: digestOfJson(workload),
		guarantees: SHARED_KERNEL_GUARANTEES,
		limits: { enforced: limits.enforced, notEnforced: limits.notEnforced },
		view,
		baseEnvironment: BASE_ENVIRONMENT,
		container: {
			folder,
			files: [
				{ path: relativeToFolder(FOLDER.settings), mode: 0o600, text: settingsText() },
				{ path: relativeToFolder(FOLDER.runtime), mode: 0o700, text: runtimeText(crun, limited) },
				{
					path: relativeToFolder(FOLDER.seccomp),
					mode: 0o600,
					text: JSON.stringify(ociSeccomp(SYSCALL_TABLE, architecture)),
				},
				...rootFiles(view),
			],
			links: rootLinks(view),
			directories: rootDirectories(view),
			environmentDescriptor: ENVIRONMENT_FD,
			environment: {
				CONTAINERS_CONF: FOLDER.settings,
				HOME: FOLDER.temporary,
				XDG_RUNTIME_DIR: FOLDER.temporary,
				PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
			},
		},
		supervision: {
			wrapper: [],
			controlGroups: [...limits.controlGroups, ...driverGroups(limits.controlGroups)],
			resourceLimits: limits.resourceLimits.filter(({ name }) => name === "CORE"),
			privateMounts: null,
			network,
			...terminal.supervision,
			argv: [
				...[unshare, "--mount", "--propagation", "private", "--", sh, "-c", PRELUDE, "sh"],
				...[folder, facts.limits.hybrid?.unifiedMount ?? "", podman],
				...containerArguments(request, facts, {
					view,
					resourceLimits: limits.resourceLimits,
					environmentDescriptor: ENVIRONMENT_FD,
					terminal,
				}),
			] as [string, ...string[]],
			workingDirectory: "/",
			signalTarget: "program",
			diskWriteBytes: limits.diskWriteBytes,
			afterwards: [],
		},
	};
	return { kind: "planned", plan };
}

/** Beside each group of the workload: podman itself, joined last, so that this is where it stays. */
function driverGroups(groups: readonly ControlGroup[]): readonly ControlGroup[] {
	return groups
		.filter(({ files }) => files.length > 0)
		.map(({ path }) => ({ path: `${path}${DRIVER_GROUP_SUFFIX}`, files: [] }));
}

function notAvailable(facts: ContainerFacts): readonly Failure[] {
	const unavailable = (reason: string, fix: string): Failure =>
		failures.failure("driver-not-available", { driver: "container", reason, fix });
	const missing = Object.entries(facts.programs)
		.filter(([, path]) => path === null)
		.map(([name]) => unavailable(`${name} is not installed`, `Run \`${installCommand(name)}\`.`));
	if (missing.length > 0) return missing;
	const trial = facts.trialError === null ? [] : [unavailable(facts.trialError, "")];
	return facts.architecture === null ? [...trial, unavailable("no system call table for this machine", "")] : trial;
}

const inRoot = (target: string): string => relativeToFolder(`${FOLDER.root}${target}`);

function rootFiles(view: readonly ViewEntry[]): readonly FolderFile[] {
	return view.flatMap((entry) =>
		entry.kind === "file" ? [{ path: inRoot(entry.target), mode: 0o444, text: entry.text }] : [],
	);
}

function rootLinks(view: readonly ViewEntry[]): ContainerPlan["container"]["links"] {
	return view.flatMap((entry) => (entry.kind === "link" ? [{ path: inRoot(entry.target), to: entry.to }] : []));
}

/** The folders that something is mounted or written in; crun makes the mount points themselves. */
function rootDirectories(view: readonly ViewEntry[]): readonly string[] {
	const folders = view
		.filter(({ kind }) => kind === "file" || kind === "link" || kind === "bind" || kind === "scratch")
		.map(({ target }) => target.slice(0, target.lastIndexOf("/")));
	return [...new Set(["", "/proc", "/dev", "/sys", ...folders])].sort().map(inRoot);
}
