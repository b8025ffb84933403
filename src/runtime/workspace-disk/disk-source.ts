import { accessSync, type BigIntStats, closeSync, constants, fstatSync, readlinkSync, statfsSync } from "node:fs";
import { printablePath } from "../../host/index.ts";
import type { DirectoryNode, FileNode, NodeMeta, RootfsNode } from "../../image/index.ts";
import { type KnownEntry, stateOf } from "./baseline.ts";
import { below, codeOf, namesIn, openFolderBelow, statBelow } from "./open-folder.ts";
import {
	type OpenChain,
	type ReadReport,
	type SourceFolder,
	type StaleReason,
	sourceContent,
	timesOf,
} from "./source-content.ts";

/** Past `maxEntries`, `maxTotalBytes` and `maxDepth` no disk is made; a file past `maxFileBytes` is left out and said. */
export interface DiskLimits {
	readonly maxEntries: number;
	readonly maxDepth: number;
	readonly maxFileBytes: number;
	readonly maxTotalBytes: number;
}

export interface DiskProblem {
	/** Printable: below the workspace, or absolute for further host paths. */
	readonly path: string;
	readonly reason: /** Not readable by this user: left out. */
		| "permission"
		/** A device, socket or pipe: left out. */
		| "special"
		/** Left out. */
		| "too-large"
		/** /proc, /sys and the like, mounted there: shown as an empty folder. */
		| "pseudo-file-system"
		/** Left out. */
		| "vanished"
		/** Left out. */
		| "io-error"
		/** Shown, but its contents are of no one moment. */
		| "changed-while-read";
}

/** Who owns everything inside: the workload's user there. */
export interface Owner {
	readonly userId: number;
	readonly groupId: number;
}

/** Said of a source that no disk is made of. */
export class TooLarge extends Error {}

/** linux/magic.h, of file systems whose files are not data: proc, sysfs, cgroup, cgroup2, debugfs, tracefs, devpts, bpf, securityfs. */
const PSEUDO = new Set([
	0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x64626720, 0x74726163, 0x1cd1, 0xcafe4a11, 0x73636673,
]);

export interface WalkParts {
	readonly chain: OpenChain;
	readonly owner: Owner;
	readonly limits: DiskLimits;
	readonly report: ReadReport;
	/** Raw paths that an earlier attempt could not read whole, and why. */
	readonly leaveOut: ReadonlyMap<string, StaleReason>;
	readonly pace: () => Promise<void>;
}

export interface WalkedFolder {
	readonly node: DirectoryNode;
	readonly known: ReadonlyMap<string, KnownEntry>;
}

interface EntryPlace {
	readonly folder: SourceFolder;
	readonly fd: number;
	readonly name: string;
	/** Raw; see `SourceFolder.path`. */
	readonly path: string;
}

/** Walks host folders for one disk. Contents are read later, when the disk is written. */
export class SourceWalk {
	readonly problems: DiskProblem[] = [];
	readonly #parts: WalkParts;
	/** Files that have several names, by device and inode. */
	readonly #linked = new Map<string, FileNode>();
	#entries = 0;
	#totalBytes = 0;

	constructor(parts: WalkParts) {
		this.#parts = parts;
	}

	get entries(): number {
		return this.#entries;
	}

	/** @param fd of the folder, open */
	async folder(folder: SourceFolder, fd: number): Promise<WalkedFolder> {
		const stats = fstatSync(fd, { bigint: true });
		const node: DirectoryNode = { kind: "directory", meta: this.#meta(stats), children: new Map() };
		const known = new Map<string, KnownEntry>();
		for (const name of this.#namesOf(folder, fd)) {
			await this.#parts.pace();
			const path = folder.path === "" ? name : `${folder.path}/${name}`;
			const entry = await this.#entryOrProblem({ folder, fd, name, path }, stats.dev);
			if (entry === undefined) continue;
			node.children.set(name, entry.node);
			known.set(name, entry.known);
		}
		return { node, known };
	}

	/** A file as a source of its own; undefined when it can't be shown. */
	file(folder: SourceFolder, fd: number, name: string): FileNode | undefined {
		const stats = statBelow(fd, name);
		const path = `${folder.path}/${name}`;
		if (stats?.isFile() === true) return this.#file({ folder, fd, name, path }, stats);
		this.#problem(path, stats === undefined ? "vanished" : "special");
		return undefined;
	}

	#namesOf(folder: SourceFolder, fd: number): readonly string[] {
		const { maxEntries, maxDepth } = this.#parts.limits;
		if (folder.depth > maxDepth)
			throw new TooLarge(`${printablePath(folder.path)} lies more than ${maxDepth} folders deep`);
		const names = namesIn(fd);
		this.#entries += names.length;
		if (this.#entries > maxEntries) throw new TooLarge(`it has more than ${maxEntries} entries`);
		return names;
	}

	async #entryOrProblem(
		place: EntryPlace,
		device: bigint,
	): Promise<{ node: RootfsNode; known: KnownEntry } | undefined> {
		try {
			return await this.#entry(place, device);
		} catch (error) {
			if (codeOf(error) === "") throw error;
			const permission = ["EACCES", "EPERM"].includes(codeOf(error));
			this.#problem(place.path, permission ? "permission" : codeOf(error) === "ENOENT" ? "vanished" : "io-error");
			return undefined;
		}
	}

	async #entry(place: EntryPlace, device: bigint): Promise<{ node: RootfsNode; known: KnownEntry } | undefined> {
		const { folder, fd, name, path } = place;
		const stats = statBelow(fd, name);
		if (stats === undefined) return undefined;
		const state = stateOf(stats);
		if (stats.isDirectory()) {
			const inner = openFolderBelow(fd, name);
			try {
				if (stats.dev !== device && PSEUDO.has(statfsSync(`/proc/self/fd/${inner}`).type)) {
					this.#problem(path, "pseudo-file-system");
					const node: DirectoryNode = { kind: "directory", meta: this.#meta(stats), children: new Map() };
					return { node, known: { state, entries: new Map() } };
				}
				const below = { above: { folder, name }, rootFd: folder.rootFd, path, depth: folder.depth + 1 };
				const walked = await this.folder(below, inner);
				return { node: walked.node, known: { state, entries: walked.known } };
			} finally {
				closeSync(inner);
			}
		}
		const node = this.#leaf(place, stats);
		return node === undefined ? undefined : { node, known: { state, entries: null } };
	}

	#leaf(place: EntryPlace, stats: BigIntStats): RootfsNode | undefined {
		if (stats.isFile()) return this.#file(place, stats);
		if (!stats.isSymbolicLink()) return this.#problem(place.path, "special");
		const target = readlinkSync(below(place.fd, place.name), { encoding: "latin1" });
		return { kind: "symlink", meta: this.#meta(stats), target };
	}

	#file(place: EntryPlace, stats: BigIntStats): FileNode | undefined {
		const { chain, limits, report, leaveOut } = this.#parts;
		const unread = leaveOut.get(place.path);
		if (unread !== undefined) return this.#problem(place.path, unread);
		const identity = `${stats.dev}:${stats.ino}`;
		const former = stats.nlink > 1n ? this.#linked.get(identity) : undefined;
		if (former !== undefined) return former;
		const sizeBytes = Number(stats.size);
		if (sizeBytes > limits.maxFileBytes) return this.#problem(place.path, "too-large");
		if (!looksReadable(stats)) accessSync(below(place.fd, place.name), constants.R_OK);
		this.#totalBytes += sizeBytes;
		if (this.#totalBytes > limits.maxTotalBytes)
			throw new TooLarge(`its files have more than ${limits.maxTotalBytes} bytes`);
		const content = sourceContent(
			chain,
			{ folder: place.folder, name: place.name, sizeBytes, times: timesOf(stats) },
			report,
		);
		const node: FileNode = { kind: "file", meta: this.#meta(stats), content };
		if (stats.nlink > 1n) this.#linked.set(identity, node);
		return node;
	}

	#meta(stats: BigIntStats): NodeMeta {
		const { userId, groupId } = this.#parts.owner;
		// Whole seconds toward minus infinity: nanoseconds are counted from there.
		const nanoseconds = ((stats.mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
		return {
			mode: Number(stats.mode) & 0o7777,
			uid: userId,
			gid: groupId,
			mtimeS: Number((stats.mtimeNs - nanoseconds) / 1_000_000_000n),
			mtimeNs: Number(nanoseconds),
			xattrs: [],
		};
	}

	#problem(path: string, reason: DiskProblem["reason"]): undefined {
		this.problems.push({ path: printablePath(path), reason });
	}
}

/** By its mode alone: asking the kernel about each of 50,000 files takes a third of the walk. */
function looksReadable({ mode, uid }: BigIntStats): boolean {
	if ((mode & 0o444n) === 0o444n) return true;
	const user = BigInt(process.geteuid?.() ?? 0);
	if (user === 0n) return true;
	return uid === user ? (mode & 0o400n) !== 0n : (mode & 0o004n) !== 0n;
}
