import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Processes looked through for one socket: a bound on what a fork bomb can make us read. */
const MAX_PROCESSES = 256;
const MAX_DESCRIPTORS = 1024;

/**
 * The process below `ancestorPid` that holds a TCP socket, seen from its own network namespace (proc(5), `net/tcp`). Best
 * effort: null when it has gone, when it is not among the first 256 processes, or when /proc does not let us look.
 */
export function socketOwner(ancestorPid: number, address: string, port: number): { pid: number; name: string } | null {
	try {
		const inode = inodeOf(ancestorPid, address, port);
		if (inode === undefined) return null;
		const pid = processesBelow(ancestorPid).find((candidate) => holdsSocket(candidate, inode));
		return pid === undefined ? null : { pid, name: readFileSync(`/proc/${pid}/comm`, "utf8").trim().slice(0, 64) };
	} catch {
		return null;
	}
}

function inodeOf(pid: number, address: string, port: number): string | undefined {
	const family = address.includes(":") ? "tcp6" : "tcp";
	const wantedPort = port.toString(16).toUpperCase().padStart(4, "0");
	const rows = readFileSync(`/proc/${pid}/net/${family}`, "latin1").split("\n").slice(1);
	for (const row of rows) {
		const columns = row.trim().split(/\s+/);
		const [local = "", inode] = [columns[1], columns[9]];
		// The port alone tells: the namespace has one address of each family beside loopback.
		if (local.endsWith(`:${wantedPort}`) && inode !== "0") return inode;
	}
	return undefined;
}

function processesBelow(ancestorPid: number): readonly number[] {
	const found = [ancestorPid];
	for (let at = 0; at < found.length && found.length < MAX_PROCESSES; at += 1)
		found.push(...childrenOf(found[at] ?? 0));
	return found.slice(0, MAX_PROCESSES);
}

function childrenOf(pid: number): readonly number[] {
	return listed(`/proc/${pid}/task`).flatMap((thread) => {
		try {
			const text = readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1");
			return text.split(" ").filter(Boolean).map(Number);
		} catch {
			return [];
		}
	});
}

function holdsSocket(pid: number, inode: string): boolean {
	return listed(`/proc/${pid}/fd`)
		.slice(0, MAX_DESCRIPTORS)
		.some((descriptor) => {
			try {
				return readlinkSync(`/proc/${pid}/fd/${descriptor}`) === `socket:[${inode}]`;
			} catch {
				return false;
			}
		});
}

function listed(path: string): readonly string[] {
	try {
		return readdirSync(path);
	} catch {
		return [];
	}
}
