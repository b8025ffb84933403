import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** The leaf in which a node itself sits: a group of version 2 that hands controllers down may hold no process. */
const LEAF = "vouch-agent";
const HANDED_DOWN = ["+cpu", "+memory", "+pids"] as const;

/**
 * Makes the control group that was handed to this process, and to it alone, one below which it can make others: moves into a leaf of
 * it and hands the controllers down. Answers the group, or undefined when none was handed over (cgroups(7), "Delegation").
 */
export function settleInOwnGroup(): string | undefined {
	const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
	const mount = mounts.find((line) => line.includes(" - cgroup2 "))?.split(" ")[4];
	const own = /^0::(\/.+)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1];
	if (mount === undefined || own === undefined || process.geteuid?.() === 0) return undefined;
	if (basename(own) === LEAF) return join(mount, own, "..");
	const group = join(mount, own);
	try {
		const inside = readFileSync(join(group, "cgroup.procs"), "utf8").trim().split("\n");
		if (inside.some((pid) => Number(pid) !== process.pid)) return undefined;
		mkdirSync(join(group, LEAF), { recursive: true });
		writeFileSync(join(group, LEAF, "cgroup.procs"), String(process.pid));
	} catch {
		return undefined;
	}
	for (const controller of HANDED_DOWN) {
		try {
			writeFileSync(join(group, "cgroup.subtree_control"), controller);
		} catch {
			// Each by itself: where there is none of it, the limit that needs it is refused.
		}
	}
	return group;
}
