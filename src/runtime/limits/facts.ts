import type { Host } from "../../host/index.ts";

/** The controllers that limits are made of. */
export type Controller = "cpu" | "memory" | "pids";
const CONTROLLERS: readonly Controller[] = ["cpu", "memory", "pids"];

export interface LimitFacts {
	/** Where this process may make control groups for each controller. */
	readonly controllers: Readonly<Partial<Record<Controller, ControllerFacts>>>;
	/** A writable version 2 hierarchy, which can end a whole group at once; null without one. */
	readonly unifiedDirectory: string | null;
	/** Version 1 and 2 at once, which crun 1.8 refuses while it sees both. */
	readonly hybrid: { readonly unifiedMount: string } | null;
	/** Whether RLIMIT_NPROC means something: the kernel never holds user 0 to it. */
	readonly user: "root" | "ordinary";
	/** This process's own hard limits: none may be raised without CAP_SYS_RESOURCE. */
	readonly hardLimits: Readonly<Record<string, number>>;
}

export interface ControllerFacts {
	readonly version: 1 | 2;
	/** Directory below which a group of ours is made. */
	readonly directory: string;
	/** Files that only some kernels have, such as the swap limit of version 1. */
	readonly optionalFiles: readonly string[];
}

interface Hierarchy {
	readonly version: 1 | 2;
	readonly mountPoint: string;
	readonly controllers: readonly string[];
}

export async function probeLimits(host: Host): Promise<LimitFacts> {
	const [mountInfo, ownGroups, ownLimits] = await Promise.all([
		host.readText("/proc/self/mountinfo"),
		host.readText("/proc/self/cgroup"),
		host.readText("/proc/self/limits"),
	]);
	const hierarchies = hierarchiesOf(mountInfo ?? "");
	const unified = hierarchies.find(({ version }) => version === 2);
	const candidate = unified === undefined ? null : unifiedCandidate(host, unified, ownGroups ?? "");
	const writable = await writablePaths(host, [
		...(candidate === null ? [] : [candidate, `${candidate}/cgroup.procs`]),
		...hierarchies.filter(({ version }) => version === 1).map(({ mountPoint }) => mountPoint),
	]);
	// Moving a process takes write access to the common ancestor's list of processes, cgroups(7) "Delegation containment rules".
	const usable = candidate !== null && writable.has(candidate) && writable.has(`${candidate}/cgroup.procs`);
	const unifiedDirectory = usable ? candidate : null;
	const own = hierarchies.filter(({ version, mountPoint }) => version === 1 && writable.has(mountPoint));
	const found = await Promise.all(
		CONTROLLERS.map(async (name) => [name, await controllerFacts(host, name, own, unifiedDirectory)] as const),
	);
	const hasVersion1 = hierarchies.some(({ version }) => version === 1);
	return {
		controllers: Object.fromEntries(found.filter(([, facts]) => facts !== null)),
		unifiedDirectory,
		hybrid: hasVersion1 && unified !== undefined ? { unifiedMount: unified.mountPoint } : null,
		user: host.userId === 0 ? "root" : "ordinary",
		hardLimits: hardLimitsOf(ownLimits ?? ""),
	};
}

/** proc_pid_mountinfo(5): the fields after ` - ` are type, source and super block options; those name v1's controllers. */
export function hierarchiesOf(mountInfo: string): readonly Hierarchy[] {
	return mountInfo.split("\n").flatMap((line): readonly Hierarchy[] => {
		const [left = "", right = ""] = line.split(" - ");
		const mountPoint = left.split(" ")[4] ?? "";
		const [type, , options = ""] = right.split(" ");
		if (type === "cgroup2") return [{ version: 2, mountPoint, controllers: [] }];
		return type === "cgroup" ? [{ version: 1, mountPoint, controllers: options.split(",") }] : [];
	});
}

async function controllerFacts(
	host: Host,
	name: Controller,
	hierarchies: readonly Hierarchy[],
	unifiedDirectory: string | null,
): Promise<ControllerFacts | null> {
	if (unifiedDirectory !== null) {
		const handedDown = (await host.readText(`${unifiedDirectory}/cgroup.subtree_control`)) ?? "";
		if (handedDown.trim().split(" ").includes(name)) {
			return {
				version: 2,
				directory: unifiedDirectory,
				optionalFiles: await optionalFiles(host, name, 2, unifiedDirectory),
			};
		}
	}
	const version1 = hierarchies.find(({ version, controllers }) => version === 1 && controllers.includes(name));
	if (version1 === undefined) return null;
	return {
		version: 1,
		directory: version1.mountPoint,
		optionalFiles: await optionalFiles(host, name, 1, version1.mountPoint),
	};
}

/**
 * The root for root; for others the part of the tree that was handed to them, if they sit in it: to a node, whose own processes then
 * sit in a leaf of that name (`settleInOwnGroup`, or vouch-helper), or by systemd to a user.
 */
function unifiedCandidate(host: Host, unified: Hierarchy, ownGroups: string): string | null {
	if (host.userId === 0) return unified.mountPoint;
	const own = /^0::(\/.*)$/m.exec(ownGroups)?.[1] ?? "/";
	const delegated = (/^(.+)\/vouch-agent$/.exec(own) ?? /^(.*\/user@\d+\.service)\//.exec(`${own}/`))?.[1];
	return delegated === undefined ? null : `${unified.mountPoint}${delegated}`;
}

async function writablePaths(host: Host, paths: readonly string[]): Promise<ReadonlySet<string>> {
	const checked = await Promise.all(paths.map(async (path) => ((await host.isWritable(path)) ? [path] : [])));
	return new Set(checked.flat());
}

async function optionalFiles(
	host: Host,
	name: Controller,
	version: 1 | 2,
	directory: string,
): Promise<readonly string[]> {
	if (name !== "memory") return [];
	// Version 2's root group has no limit files of its own to look at; swap accounting is there unless it was switched off.
	if (version === 2) return (await host.exists("/proc/swaps")) ? ["memory.swap.max"] : [];
	const swap = "memory.memsw.limit_in_bytes";
	return (await host.exists(`${directory}/${swap}`)) ? [swap] : [];
}

/** proc_pid_limits(5), by setrlimit(2) name; what is unlimited is left out. */
export function hardLimitsOf(limits: string): Readonly<Record<string, number>> {
	const rows: readonly (readonly [label: string, name: string])[] = [
		["Max open files", "NOFILE"],
		["Max processes", "NPROC"],
		["Max file size", "FSIZE"],
	];
	const found = rows.flatMap(([label, name]) => {
		const hard = new RegExp(`^${label}\\s+\\S+\\s+(\\d+)`, "m").exec(limits)?.[1];
		return hard === undefined ? [] : [[name, Number(hard)] as const];
	});
	return Object.fromEntries(found);
}
