import type { RunId } from "../../core/index.ts";
import type { ControlGroup, SupervisionSpec } from "../../host/index.ts";
import { type LimitName, type Limits, limitsSchema } from "../schema.ts";
import type { Controller, ControllerFacts, LimitFacts } from "./facts.ts";

/** How each limit is kept, in the words of the receipt, and everything that the supervisor must be told for it. */
export interface PlannedLimits {
	/** In these the workload runs. */
	readonly controlGroups: readonly ControlGroup[];
	readonly resourceLimits: SupervisionSpec["resourceLimits"];
	readonly diskWriteBytes: number | null;
	readonly enforced: readonly { readonly limit: LimitName; readonly by: string }[];
	readonly notEnforced: readonly { readonly limit: LimitName; readonly reason: string }[];
	/** Limits that were asked for and that this machine can't keep. */
	readonly unmet: readonly { readonly limit: LimitName; readonly reason: string }[];
}

/** Processes that the driver itself adds to a workload's group and that are not the workload's to spend. */
export interface LimitOverhead {
	readonly processes: number;
	/** In a user namespace of its own RLIMIT_NPROC counts the run's processes alone (Linux 5.14), else all of the user's. */
	readonly userNamespace: "own" | "shared";
}

const LIMIT_NAMES = Object.keys(limitsSchema.shape) as readonly LimitName[];
const PERIOD_US = 100_000;
const MIB = 2 ** 20;

/** One way to keep one limit: its files in a control group of either version. */
interface ControllerRow {
	readonly limit: LimitName;
	readonly controller: Controller;
	readonly files: (value: number, facts: ControllerFacts, overhead: LimitOverhead) => ControlGroup["files"];
}

const CONTROLLER_ROWS: readonly ControllerRow[] = [
	{
		limit: "cpuMillicores",
		controller: "cpu",
		files: (millicores, { version }) => {
			const quotaUs = Math.max(1000, Math.round((millicores * PERIOD_US) / 1000));
			if (version === 2) return [{ name: "cpu.max", value: `${quotaUs} ${PERIOD_US}` }];
			return [
				{ name: "cpu.cfs_period_us", value: String(PERIOD_US) },
				{ name: "cpu.cfs_quota_us", value: String(quotaUs) },
			];
		},
	},
	{
		limit: "memoryMiB",
		controller: "memory",
		files: (memoryMiB, { version, optionalFiles }) => {
			const bytes = String(memoryMiB * MIB);
			const has = (name: string, value: string) => (optionalFiles.includes(name) ? [{ name, value }] : []);
			if (version === 1)
				return [{ name: "memory.limit_in_bytes", value: bytes }, ...has("memory.memsw.limit_in_bytes", bytes)];
			return [
				{ name: "memory.max", value: bytes },
				...has("memory.swap.max", "0"),
				{ name: "memory.oom.group", value: "1" },
			];
		},
	},
	{
		limit: "processes",
		controller: "pids",
		files: (processes, _facts, overhead) => [{ name: "pids.max", value: String(processes + overhead.processes) }],
	},
];

export function planLimits(limits: Limits, facts: LimitFacts, runId: RunId, overhead: LimitOverhead): PlannedLimits {
	const rows = CONTROLLER_ROWS.map((row) => ({
		row,
		value: limits[row.limit],
		facts: facts.controllers[row.controller],
	}));
	const kept = rows.flatMap(({ row, value, facts: found }) =>
		value === null || found === undefined ? [] : [{ row, value, found }],
	);
	const own = resourceLimitsOf(limits, facts, overhead);
	const byResource = new Set(own.enforced.map(({ limit }) => limit));
	const missing = rows.filter(
		({ row, value, facts: found }) => value !== null && found === undefined && !byResource.has(row.limit),
	);
	return {
		controlGroups: mergeGroups([
			...kept.map(({ row, value, found }) => ({
				path: groupPath(found.directory, runId),
				files: row.files(value, found, overhead),
			})),
			// Without a limit on it too: a version 2 group is what ends the whole run at once.
			...(facts.unifiedDirectory === null ? [] : [{ path: groupPath(facts.unifiedDirectory, runId), files: [] }]),
		]),
		resourceLimits: own.resourceLimits,
		diskWriteBytes: limits.diskWriteMiB === null ? null : limits.diskWriteMiB * MIB,
		enforced: [
			...kept.map(({ row, found }) => ({ limit: row.limit, by: `control group v${found.version} ${row.controller}` })),
			...own.enforced,
			...watched(limits),
		],
		notEnforced: LIMIT_NAMES.filter((limit) => limits[limit] === null).map((limit) => ({
			limit,
			reason: "not asked for",
		})),
		unmet: missing.map(({ row }) => ({ limit: row.limit, reason: reasonWithout(row.controller) })),
	};
}

export function groupPath(directory: string, runId: RunId): string {
	return `${directory}/vouch-${runId}`;
}

function reasonWithout(controller: Controller): string {
	return `no writable control group with the ${controller} controller`;
}

/** Limits that the supervisor and Vouch itself watch. */
function watched(limits: Limits): PlannedLimits["enforced"] {
	const rows: PlannedLimits["enforced"] = [
		{ limit: "diskWriteMiB", by: "supervisor watching bytes written, RLIMIT_FSIZE, size of each tmpfs" },
		{ limit: "outputBytes", by: "Vouch counting" },
		{ limit: "timeoutMs", by: "Vouch's clock" },
	];
	return rows.filter(({ limit }) => limits[limit] !== null);
}

function resourceLimitsOf(
	limits: Limits,
	facts: LimitFacts,
	overhead: LimitOverhead,
): Pick<PlannedLimits, "resourceLimits" | "enforced"> {
	// Only where no control group can: it holds each user of the namespace by itself.
	const countsProcesses =
		facts.controllers.pids === undefined && facts.user === "ordinary" && overhead.userNamespace === "own";
	const processes = countsProcesses && limits.processes !== null ? limits.processes + overhead.processes : null;
	const wanted = [
		// A core dump would be written by the kernel, as root, wherever the machine's pattern says.
		{ limit: null, name: "CORE", value: 0 },
		{ limit: "openFiles", name: "NOFILE", value: limits.openFiles },
		{ limit: "processes", name: "NPROC", value: processes },
		{ limit: null, name: "FSIZE", value: limits.diskWriteMiB === null ? null : limits.diskWriteMiB * MIB },
	] as const;
	const set = wanted.flatMap((row) => (row.value === null ? [] : [{ ...row, value: row.value }]));
	const hard = (name: string): number => facts.hardLimits[name] ?? Number.POSITIVE_INFINITY;
	return {
		// A hard limit that is lower already is kept: raising it takes a capability, and lower is stricter.
		resourceLimits: set.map(({ name, value }) => ({ name, value: Math.min(value, hard(name)) })),
		enforced: set.flatMap(({ limit, name }) => (limit === null ? [] : [{ limit, by: `RLIMIT_${name}` }])),
	};
}

function mergeGroups(groups: readonly ControlGroup[]): readonly ControlGroup[] {
	const paths = [...new Set(groups.map(({ path }) => path))];
	return paths.map((path) => ({
		path,
		files: groups.filter((group) => group.path === path).flatMap(({ files }) => files),
	}));
}
