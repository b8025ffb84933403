import { join } from "node:path";
import type { Host } from "../../host/index.ts";
import type { RootEntry } from "../driver.ts";

/** What of this machine the view of a workload can be made from. */
export interface ViewFacts {
	/** The entries of `/`, `/etc` and `/etc/ssl`. */
	readonly entries: readonly RootEntry[];
	/** Where file systems are mounted: a read-only bind does not reach into those below it by itself. */
	readonly mountPoints: readonly string[];
	/** Entries of `/proc`, without the processes: those that a workload must not write or see are covered. */
	readonly procEntries: readonly RootEntry[];
}

export async function probeView(host: Host): Promise<ViewFacts> {
	const [entries, inProc, mountInfo] = await Promise.all([
		listFolders(host, ["/", "/etc", "/etc/ssl"]),
		listFolders(host, ["/proc"]),
		host.readText("/proc/self/mountinfo"),
	]);
	return {
		entries: entries.filter(({ path }) => path !== "/proc"),
		procEntries: inProc.filter(({ path }) => !/^\/proc\/\d+$/.test(path)),
		mountPoints: mountPointsOf(mountInfo ?? ""),
	};
}

async function listFolders(host: Host, folders: readonly string[]): Promise<readonly RootEntry[]> {
	const listed = await Promise.all(
		folders.map(async (folder) => {
			const entries = await host.listFolder(folder);
			return entries.map(({ name, kind, target }) => ({ path: join(folder, name), kind, target }));
		}),
	);
	return listed.flat().sort((left, right) => (left.path < right.path ? -1 : 1));
}

/** Field 5 of proc_pid_mountinfo(5); space, tab, newline and backslash are written as three octal digits. */
export function mountPointsOf(mountInfo: string): readonly string[] {
	return mountInfo
		.split("\n")
		.map((line) => line.split(" ")[4] ?? "")
		.filter((path) => path.startsWith("/"))
		.map((path) =>
			path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
		);
}
