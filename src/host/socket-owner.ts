import { readdir, readFile, readlink } from "node:fs/promises";

/** Processes looked through for one socket: a bound on what a fork bomb can make us read. */
const MAX_PROCESSES = 256;
const MAX_DESCRIPTORS = 1024;

/**
 * The process below `ancestorPid` that holds a TCP socket, seen from its own network namespace (proc(5), `net/tcp`). Best
 * effort: null when it has gone, when it is not among the first 256 processes, or when /proc does not let us look. Takes
 * milliseconds, none of them on this thread: the kernel walks its whole table of connections.
 */
export async function socketOwner(
	ancestorPid: number,
	address: string,
	port: number,
): Promise<{ readonly pid: number; readonly name: string } | null> {
	const inode = await inodeOf(ancestorPid, address, port);
	if (inode === undefined) return null;
	for (const pid of await processesBelow(ancestorPid)) {
		if (!(await holdsSocket(pid, inode))) continue;
		const name = await textOf(`/proc/${pid}/comm`);
		return { pid, name: name.trim().slice(0, 64) };
	}
	return null;
}

async function inodeOf(pid: number, address: string, port: number): Promise<string | undefined> {
	const family = address.includes(":") ? "tcp6" : "tcp";
	const wantedPort = port.toString(16).toUpperCase().padStart(4, "0");
	for (const row of (await textOf(`/proc/${pid}/net/${family}`)).split("\n").slice(1)) {
		const columns = row.trim().split(/\s+/);
		const [local = "", inode] = [columns[1], columns[9]];
		// The port alone tells: the namespace has one address of each family beside loopback.
		if (local.endsWith(`:${wantedPort}`) && inode !== "0") return inode;
	}
	return undefined;
}

async function processesBelow(ancestorPid: number): Promise<readonly number[]> {
	const found = [ancestorPid];
	for (let at = 0; at < found.length && found.length < MAX_PROCESSES; at += 1) {
		found.push(...(await childrenOf(found[at] ?? 0)));
	}
	return found.slice(0, MAX_PROCESSES);
}

async function childrenOf(pid: number): Promise<readonly number[]> {
	const threads = await namesIn(`/proc/${pid}/task`);
	const texts = await Promise.all(threads.map((thread) => textOf(`/proc/${pid}/task/${thread}/children`)));
	return texts.flatMap((text) => text.split(" ").filter(Boolean).map(Number));
}

async function holdsSocket(pid: number, inode: string): Promise<boolean> {
	const descriptors = (await namesIn(`/proc/${pid}/fd`)).slice(0, MAX_DESCRIPTORS);
	const targets = await Promise.all(descriptors.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => "")));
	return targets.includes(`socket:[${inode}]`);
}

function textOf(path: string): Promise<string> {
	return readFile(path, "latin1").catch(() => "");
}

function namesIn(path: string): Promise<readonly string[]> {
	return readdir(path).catch(() => []);
}
