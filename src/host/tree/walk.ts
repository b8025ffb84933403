import {
	type BigIntStats,
	closeSync,
	constants,
	fstatSync,
	lstatSync,
	openSync,
	readdirSync,
	readlinkSync,
} from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { batchesOf, type FileToHash } from "./batches.ts";
import { beneath, type Content, problemOf, SAFE_OPEN, STATE_FIELDS, stateOf } from "./content.ts";
import type { ContentCache } from "./content-cache.ts";
import type { Hashing } from "./hashing.ts";
import { printablePath, systemPath } from "./path-text.ts";
import {
	devicePayload,
	EMPTY_PAYLOAD,
	type EntryType,
	linkPayload,
	type TreeNode,
	type TreeProblem,
} from "./snapshot.ts";

export interface TreeLimits {
	/** Entries in all. The first name past it in each folder is noted; nothing after it is looked at. */
	readonly maxEntries: number;
	/** Folders inside folders. */
	readonly maxDepth: number;
	/** A file above it is listed, not read: a sparse file of a petabyte costs its maker nothing. */
	readonly maxFileBytes: number;
	/** Sizes of all files together, cached or not, so that the digest does not depend on the cache. */
	readonly maxTotalBytes: number;
}

export interface WalkParts {
	readonly limits: TreeLimits;
	readonly exclude: ReadonlySet<string>;
	readonly cache: ContentCache;
	readonly hashing: Hashing;
	readonly signal: AbortSignal | undefined;
	/** Called with each folder's own children while it is open. */
	readonly onFolder: (folder: OpenFolder) => void;
}

/** A folder being walked. Its children are read through `fd`, so nothing above it can be exchanged for a link. */
export interface OpenFolder {
	readonly fd: number;
	/** Raw absolute path, for lstat alone: it opens nothing, and is twice as fast as going through /proc. */
	readonly absolute: string;
	/** Raw path below the root, "" for the root. */
	readonly relative: string;
	readonly depth: number;
	readonly node: TreeNode;
}

const FOLDER_OPEN = SAFE_OPEN | constants.O_DIRECTORY;
/** linux/limits.h PATH_MAX is 4096: well before it, names go through the folder's descriptor. */
const LONG_PATH = 3000;
/** Some million names. They would have to be sorted before the first is looked at. */
const MAX_FOLDER_BYTES = 128 << 20;
/** How long the event loop may be held: signals and timers of the program that scans must still be served. */
const TURN_MS = 20;
/** Folders whose files are being hashed at once: each keeps a descriptor open. */
const MAX_BATCHES = 32;
const TYPE_BY_FORMAT: ReadonlyMap<number, EntryType> = new Map([
	[constants.S_IFREG, "file"],
	[constants.S_IFDIR, "directory"],
	[constants.S_IFLNK, "symlink"],
	[constants.S_IFIFO, "fifo"],
	[constants.S_IFSOCK, "socket"],
	[constants.S_IFCHR, "character-device"],
	[constants.S_IFBLK, "block-device"],
]);

/** One walk over one tree. Only this class knows the order of things; digests are folded afterwards (snapshot.ts). */
export class Walk {
	readonly problems: TreeProblem[] = [];
	readonly counts = { hashed: 0, cached: 0, bytes: 0 };
	readonly #parts: WalkParts;
	readonly #batches = new Set<Promise<void>>();
	readonly #state = new BigUint64Array(STATE_FIELDS);
	#entries = 0;
	#turnStartedMs = performance.now();

	constructor(parts: WalkParts) {
		this.#parts = parts;
	}

	/** @param root real path. Throws what open(2) throws when the root itself can't be opened. */
	async run(root: string): Promise<TreeNode> {
		const fd = openSync(systemPath(root), FOLDER_OPEN);
		const node = newNode("", "directory", Number(fstatSync(fd).mode) & 0o7777);
		try {
			await this.#enter({ fd, absolute: root === "/" ? "" : root, relative: "", depth: 0, node });
			await Promise.all(this.#batches);
		} finally {
			await Promise.allSettled(this.#batches);
		}
		return node;
	}

	/** Walks a folder and owns its descriptor, which stays open until the last of its files is hashed. */
	async #enter(folder: OpenFolder): Promise<void> {
		const batches: Promise<void>[] = [];
		try {
			const files: FileToHash[] = [];
			const folders = this.#list(folder, files);
			this.#parts.onFolder(folder);
			batches.push(...this.#hash(folder, files));
			for (const node of folders) await this.#descend(folder, node);
		} finally {
			const close = () => closeSync(folder.fd);
			if (batches.length === 0) close();
			else this.#track(Promise.all(batches).then(close, (error: unknown) => this.#closeAfter(batches, close, error)));
		}
		if (performance.now() - this.#turnStartedMs > TURN_MS) await this.#giveWay();
		while (this.#batches.size > MAX_BATCHES) await Promise.race(this.#batches);
	}

	/** A descriptor must not be closed under a thread that still reads through it, not even after another one failed. */
	async #closeAfter(batches: readonly Promise<void>[], close: () => void, error: unknown): Promise<never> {
		await Promise.allSettled(batches);
		close();
		throw error;
	}

	#track(work: Promise<void>): void {
		this.#batches.add(work);
		const forget = () => this.#batches.delete(work);
		work.then(forget, forget);
	}

	/** Looks at every name of a folder; returns its folders, and adds its files of unknown content to `files`. */
	#list(folder: OpenFolder, files: FileToHash[]): TreeNode[] {
		const folders: TreeNode[] = [];
		for (const name of this.#namesIn(folder)) {
			const path = joined(folder.relative, name);
			if (this.#parts.exclude.has(path)) continue;
			if (this.#entries >= this.#parts.limits.maxEntries) {
				this.#note(path, "too-many");
				break;
			}
			const node = this.#look(folder, name, path, files);
			if (node === undefined) continue;
			folder.node.children.push(node);
			if (node.type === "directory" && node.read) folders.push(node);
		}
		return folders;
	}

	/** In byte order. A folder that is too large to list, or fails to be, is recorded as unreadable. */
	#namesIn(folder: OpenFolder): readonly string[] {
		try {
			if (fstatSync(folder.fd).size <= MAX_FOLDER_BYTES)
				return readdirSync(`/proc/self/fd/${folder.fd}`, { encoding: "latin1" }).sort();
			this.#note(folder.relative, "too-many");
		} catch (error) {
			this.#note(folder.relative, problemOf(error));
		}
		unread(folder.node);
		return [];
	}

	/** lstat of one name; undefined when it has gone since it was listed. */
	#look(folder: OpenFolder, name: string, path: string, files: FileToHash[]): TreeNode | undefined {
		let stats: BigIntStats;
		try {
			const absolute = `${folder.absolute}/${name}`;
			const target = absolute.length < LONG_PATH ? systemPath(absolute) : beneath(folder.fd, name);
			stats = lstatSync(target, { bigint: true });
		} catch (error) {
			const reason = this.#note(path, problemOf(error));
			return reason === "vanished" ? undefined : unread(newNode(name, "unknown", 0));
		}
		const type = TYPE_BY_FORMAT.get(Number(stats.mode) & constants.S_IFMT) ?? "unknown";
		const node = newNode(name, type, Number(stats.mode) & 0o7777);
		this.#entries += 1;
		if (type === "file") this.#judgeFile(node, stats, path, files);
		else if (type === "directory") this.#judgeFolder(folder, node, path);
		else if (type === "symlink") this.#readLink(folder, node, path);
		else if (type !== "fifo" && type !== "socket") node.payload = devicePayload(stats.rdev);
		return node;
	}

	#judgeFile(node: TreeNode, stats: BigIntStats, path: string, files: FileToHash[]): void {
		node.size = Number(stats.size);
		const { maxFileBytes, maxTotalBytes } = this.#parts.limits;
		if (node.size > maxFileBytes || this.counts.bytes + node.size > maxTotalBytes) {
			this.#note(path, "too-large");
			unread(node);
			return;
		}
		this.counts.bytes += node.size;
		const known = this.#parts.cache.lookup(stateOf(stats, this.#state));
		if (known === undefined) files.push({ node, bytes: node.size });
		else {
			node.payload = known;
			this.counts.cached += 1;
		}
	}

	#judgeFolder(folder: OpenFolder, node: TreeNode, path: string): void {
		if (folder.depth < this.#parts.limits.maxDepth) return;
		this.#note(path, "too-deep");
		unread(node);
	}

	#readLink(folder: OpenFolder, node: TreeNode, path: string): void {
		try {
			const target = readlinkSync(beneath(folder.fd, node.name), { encoding: "latin1" });
			node.target = printablePath(target);
			node.payload = linkPayload(target);
		} catch (error) {
			this.#note(path, problemOf(error));
			unread(node);
		}
	}

	async #descend(parent: OpenFolder, node: TreeNode): Promise<void> {
		const relative = joined(parent.relative, node.name);
		let fd: number;
		try {
			fd = openSync(beneath(parent.fd, node.name), FOLDER_OPEN);
		} catch (error) {
			this.#note(relative, problemOf(error));
			unread(node);
			return;
		}
		const absolute = `${parent.absolute}/${node.name}`;
		await this.#enter({ fd, absolute, relative, depth: parent.depth + 1, node });
	}

	#hash(folder: OpenFolder, files: readonly FileToHash[]): Promise<void>[] {
		return [...batchesOf(files)].map(({ nodes, bytes }) => {
			const names = nodes.map((node) => node.name);
			const batch = this.#parts.hashing.hash(folder.fd, names, bytes).then((contents) => {
				for (const [index, node] of nodes.entries()) {
					const content = contents[index];
					if (content !== undefined) this.#take(node, content, joined(folder.relative, node.name));
				}
			});
			// Whoever awaits it may still be walking the folders below: it must not count as unhandled until then.
			batch.catch(() => {});
			return batch;
		});
	}

	#take(node: TreeNode, content: Content, path: string): void {
		this.counts.hashed += 1;
		node.payload = content.payload;
		if (content.problem === null || content.problem === "changed-while-read") {
			node.mode = content.mode;
			node.size = content.size;
		}
		if (content.problem !== null) {
			this.#note(path, content.problem);
			if (content.payload === EMPTY_PAYLOAD) unread(node);
		}
		if (content.state !== null) this.#parts.cache.remember(content.state, content.payload);
	}

	#note(path: string, reason: TreeProblem["reason"]): TreeProblem["reason"] {
		this.problems.push({ path: printablePath(path), reason });
		return reason;
	}

	async #giveWay(): Promise<void> {
		await nextTurn();
		this.#parts.signal?.throwIfAborted();
		this.#turnStartedMs = performance.now();
	}
}

function newNode(name: string, type: EntryType, mode: number): TreeNode {
	return { name, type, mode, size: 0, payload: EMPTY_PAYLOAD, target: null, read: true, children: [] };
}

function unread(node: TreeNode): TreeNode {
	node.read = false;
	node.payload = EMPTY_PAYLOAD;
	return node;
}

function joined(folder: string, name: string): string {
	return folder === "" ? name : `${folder}/${name}`;
}
