import type { PlanRequest, RootEntry } from "../driver.ts";
import type { Workload } from "../schema.ts";
import { generatedEtc, isPublicEtc } from "./etc.ts";
import type { ViewFacts } from "./facts.ts";
import { GUEST } from "./guest.ts";

/** One thing that a workload sees. Drivers make each in their own way; nothing that isn't listed is visible. */
export type ViewEntry =
	| {
			readonly kind: "bind";
			readonly target: string;
			readonly source: string;
			readonly access: "read-only" | "read-write";
	  }
	/** A fresh file system in memory, gone with the run. */
	| { readonly kind: "scratch"; readonly target: string; readonly mode: "0755" | "1777"; readonly sizeBytes: number }
	| { readonly kind: "link"; readonly target: string; readonly to: string }
	| { readonly kind: "file"; readonly target: string; readonly text: string }
	/** Of `/proc`: the same thing again, but read-only. */
	| { readonly kind: "read-only"; readonly target: string }
	/** Of `/proc`: covered with nothing. */
	| { readonly kind: "mask"; readonly target: string; readonly over: "file" | "directory" };

/** Size of each scratch file system when the workload sets no limit of its own. */
export const DEFAULT_SCRATCH_BYTES = 1024 * 2 ** 20;

/** Top-level folders of a host root that are shown. `/opt` isn't: what sits there is not the system's. */
const SYSTEM_FOLDERS = new Set(["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"]);

/** Where programs look for the writable folders of a host root. */
const HOST_LINKS: readonly ViewEntry[] = [
	{ kind: "link", target: "/var/run", to: "/run" },
	{ kind: "link", target: "/var/tmp", to: "/tmp" },
];

/** What every view makes itself, so that an image's own are left out. */
const OWN_FOLDERS = new Set([
	"/proc",
	"/dev",
	"/sys",
	"/run",
	"/tmp",
	"/home",
	"/etc",
	"/workspace",
	"/root",
	"/lost+found",
]);

/**
 * `/proc` as the OCI runtime specification's default profile: a workload that a root user started is the machine's user 0
 * without capabilities, to whom `/proc/sys` would be writable.
 */
const PROC_READ_ONLY = new Set([
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys",
	"/proc/sysrq-trigger",
	"/proc/mtrr",
]);
const PROC_MASKED = new Set([
	"/proc/acpi",
	"/proc/asound",
	"/proc/config.gz",
	"/proc/kallsyms",
	"/proc/kcore",
	"/proc/key-users",
	"/proc/keys",
	"/proc/kmsg",
	"/proc/mtrr",
	"/proc/latency_stats",
	"/proc/pressure",
	"/proc/sched_debug",
	"/proc/scsi",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/vmallocinfo",
]);

export function planView(request: PlanRequest, facts: ViewFacts): readonly ViewEntry[] {
	const { limits, workspace, exposed } = request.workload;
	const sizeBytes = limits.diskWriteMiB === null ? DEFAULT_SCRATCH_BYTES : limits.diskWriteMiB * 2 ** 20;
	const scratch = (target: string, mode: "0755" | "1777"): ViewEntry => ({ kind: "scratch", target, mode, sizeBytes });
	const generated = generatedEtc();
	return [
		...rootEntries(request, facts).filter(({ target }) => !generated.has(target)),
		...[...generated].map(([target, text]): ViewEntry => ({ kind: "file", target, text })),
		scratch("/tmp", "1777"),
		scratch("/run", "0755"),
		scratch(GUEST.home, "0755"),
		...(workspace === null ? [scratch("/workspace", "0755")] : workspaceEntries(workspace)),
		...secretEntries(request),
		...exposed.map((path): ViewEntry => ({ kind: "bind", target: path, source: path, access: "read-only" })),
		...procEntries(facts),
	];
}

/** Where a workload finds its secrets, a file each. */
export const SECRETS_TARGET = "/run/secrets";

function secretEntries({ workload, secretsFolder }: PlanRequest): readonly ViewEntry[] {
	if (workload.secretFiles === undefined || secretsFolder === undefined) return [];
	return [{ kind: "bind", target: SECRETS_TARGET, source: secretsFolder, access: "read-only" }];
}

function workspaceEntries({
	source,
	access,
	protected: kept,
}: NonNullable<Workload["workspace"]>): readonly ViewEntry[] {
	const bind = (path: string, how: typeof access): ViewEntry => {
		return { kind: "bind", target: `/workspace${path}`, source: `${source}${path}`, access: how };
	};
	// A mount point can be neither written, renamed nor removed from inside.
	const mounted = access === "read-only" ? [] : kept.map((path) => bind(`/${path}`, "read-only"));
	return [bind("", access), ...mounted];
}

function rootEntries(request: PlanRequest, facts: ViewFacts): readonly ViewEntry[] {
	if (request.root === null) {
		const shown = facts.entries.filter(({ path }) => SYSTEM_FOLDERS.has(path) || isPublicEtc(path));
		return [...shown.flatMap((entry) => shownAs(entry, "")), ...HOST_LINKS];
	}
	// An image's own files are below everything else, without being listed.
	if (request.root.kind === "image") return [];
	const { directory, entries } = request.root;
	return entries.filter(({ path }) => !OWN_FOLDERS.has(path)).flatMap((entry) => shownAs(entry, directory));
}

function shownAs(entry: RootEntry, root: string): readonly ViewEntry[] {
	if (entry.kind === "link") return [{ kind: "link", target: entry.path, to: entry.target }];
	if (entry.kind === "other") return [];
	return [{ kind: "bind", target: entry.path, source: `${root}${entry.path}`, access: "read-only" }];
}

function procEntries(facts: ViewFacts): readonly ViewEntry[] {
	return facts.procEntries.flatMap(({ path, kind }): readonly ViewEntry[] => {
		if (PROC_READ_ONLY.has(path)) return [{ kind: "read-only", target: path }];
		if (!PROC_MASKED.has(path)) return [];
		return [{ kind: "mask", target: path, over: kind === "directory" ? "directory" : "file" }];
	});
}

/** Mount points of the host that sit below what the view shows read-only: each must be made read-only by itself. */
export function mountsBelow(view: readonly ViewEntry[], facts: ViewFacts): readonly ViewEntry[] {
	return view.flatMap((entry) => {
		if (entry.kind !== "bind" || entry.access !== "read-only" || entry.target === "/workspace") return [];
		const below = facts.mountPoints.filter((path) => path.startsWith(`${entry.source}/`));
		return below.map((path): ViewEntry => {
			return {
				kind: "bind",
				target: `${entry.target}${path.slice(entry.source.length)}`,
				source: path,
				access: "read-only",
			};
		});
	});
}
