import { GUEST, type ViewEntry } from "../../view/index.ts";

/** Where bwrap finds what it reads; on `start` it waits, when its mounts are made, until it may run the command. */
export const DESCRIPTORS = { arguments: 3, seccomp: 4, program: 5, start: 6, terminal: 7, firstFile: 9 } as const;

/**
 * The walls, the same for the trial and for every plan. The network namespace is not among them: the supervisor starts
 * bwrap inside one that is private to the run, which the workload must not be able to leave or to configure.
 */
export const NAMESPACE_ARGUMENTS = [
	"--unshare-user",
	"--unshare-pid",
	"--unshare-ipc",
	"--unshare-uts",
	"--unshare-cgroup",
	"--disable-userns",
	"--new-session",
	"--die-with-parent",
	...["--cap-drop", "ALL"],
] as const;

/** What `bwrap --args` reads: every word but the workload's variables, which are added when it starts. */
export function bwrapArguments(
	view: readonly ViewEntry[],
	fileDescriptors: ReadonlyMap<string, number>,
	workingDirectory: string,
): readonly string[] {
	const ofProc = (entry: ViewEntry): boolean => entry.kind === "mask" || entry.kind === "read-only";
	const mounts = (entries: readonly ViewEntry[]): readonly string[] =>
		entries.flatMap((entry) => mountArguments(entry, fileDescriptors));
	return [
		...NAMESPACE_ARGUMENTS,
		...["--uid", String(GUEST.userId), "--gid", String(GUEST.groupId), "--hostname", GUEST.hostname],
		...["--seccomp", String(DESCRIPTORS.seccomp), "--clearenv", "--block-fd", String(DESCRIPTORS.start)],
		...["--tmpfs", "/", "--proc", "/proc"],
		...mounts(view.filter(ofProc)),
		...["--dev", "/dev", "--size", String(scratchSize(view)), "--perms", "1777", "--tmpfs", "/dev/shm"],
		...foldersAbove(view).flatMap((path) => ["--perms", "0755", "--dir", path]),
		...mounts(view.filter((entry) => !ofProc(entry))),
		...["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", workingDirectory],
	];
}

/** Folders that hold entries without being one: bwrap would make them unreadable for others than the workload's own id. */
function foldersAbove(view: readonly ViewEntry[]): readonly string[] {
	const above = view.flatMap(({ target }) => {
		const parts = target.split("/").slice(1, -1);
		return parts.map((_, index) => `/${parts.slice(0, index + 1).join("/")}`);
	});
	const covered = (path: string): boolean =>
		path === "/proc" || view.some(({ target }) => path === target || path.startsWith(`${target}/`));
	return [...new Set(above)].filter((path) => !covered(path)).sort();
}

function scratchSize(view: readonly ViewEntry[]): number {
	return Math.max(...view.map((entry) => (entry.kind === "scratch" ? entry.sizeBytes : 0)));
}

function mountArguments(entry: ViewEntry, fileDescriptors: ReadonlyMap<string, number>): readonly string[] {
	switch (entry.kind) {
		case "bind":
			return [entry.access === "read-only" ? "--ro-bind" : "--bind", entry.source, entry.target];
		case "scratch":
			return ["--perms", entry.mode, "--size", String(entry.sizeBytes), "--tmpfs", entry.target];
		case "link":
			return ["--symlink", entry.to, entry.target];
		case "file":
			return ["--perms", "0444", "--ro-bind-data", String(fileDescriptors.get(entry.target)), entry.target];
		case "read-only":
			return ["--ro-bind", entry.target, entry.target];
		case "mask":
			if (entry.over === "file") return ["--ro-bind", "/dev/null", entry.target];
			return ["--tmpfs", entry.target, "--remount-ro", entry.target];
	}
}
