import {
	type BigIntStats,
	closeSync,
	constants,
	fstatSync,
	lstatSync,
	openSync,
	readdirSync,
	readlinkSync,
	readSync,
} from "node:fs";
import { setImmediate } from "node:timers/promises";
import { printablePath } from "../../../host/index.ts";
import { checkDevice } from "./devices.ts";
import { fail } from "./failures.ts";
import { isRawUtf8, rawOf, rawOfText, systemPathOf } from "./raw-text.ts";
import { Refusal, type SourceLimits } from "./source.ts";
import {
	type Content,
	type DirectoryNode,
	directoryNode,
	type LeafNode,
	type NodeMeta,
	type RootfsTree,
} from "./tree.ts";

const DIRECTORY_MODE = 0o755;
const LINK_MODE = 0o777;
const PROGRAM_MODE = 0o755;
const FILE_MODE = 0o644;
const DEVICE_MODE = 0o600;
const ENTRIES_AT_A_TIME = 500;

/**
 * A folder as a tree that says nothing of who made it: all of it is root's, a folder is 0755, a file 0755 when its owner may
 * run it and else 0644, no setuid, no times, no xattrs. Hard links stay links. Throws Refusal, or VouchError `rootfs-changed`.
 */
export async function readFolder(path: string, limits: SourceLimits, signal?: AbortSignal): Promise<RootfsTree> {
	const reading = new FolderReading(rawOfText(path), limits);
	const tree = { root: directoryNode(metaOf(DIRECTORY_MODE)) };
	const waiting: Waiting[] = [{ path: "", depth: 0, node: tree.root }];
	let untilLook = ENTRIES_AT_A_TIME;
	for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
		for (const name of reading.namesIn(folder.path)) {
			const inner = reading.add(folder, name);
			if (inner !== undefined) waiting.push(inner);
			untilLook -= 1;
			if (untilLook > 0) continue;
			untilLook = ENTRIES_AT_A_TIME;
			await setImmediate();
			signal?.throwIfAborted();
		}
	}
	return tree;
}

interface Waiting {
	/** Raw, below the folder. */
	readonly path: string;
	readonly depth: number;
	readonly node: DirectoryNode;
}

class FolderReading {
	/** Raw. */
	readonly #base: string;
	readonly #limits: SourceLimits;
	/** By device and inode, for those with more names. */
	readonly #linked = new Map<string, LeafNode>();
	#entries = 0;
	#bytes = 0;
	#nameBytes = 0;

	constructor(base: string, limits: SourceLimits) {
		this.#base = base;
		this.#limits = limits;
	}

	namesIn(path: string): readonly string[] {
		return this.#system(path, (at) => readdirSync(at, { encoding: "buffer" })).map(rawOf);
	}

	/** Puts one entry into its folder; gives it back when it is a folder itself. */
	add(folder: Waiting, name: string): Waiting | undefined {
		const path = folder.path === "" ? name : `${folder.path}/${name}`;
		const stats = this.#system(path, (at) => lstatSync(at, { bigint: true }));
		this.#count(path, folder.depth + 1, stats);
		if (!isRawUtf8(name)) throw new Refusal(printablePath(path), "its name is not valid UTF-8");
		if (stats.isDirectory()) {
			const node = directoryNode(metaOf(DIRECTORY_MODE));
			folder.node.children.set(name, node);
			return { path, depth: folder.depth + 1, node };
		}
		const identity = stats.nlink > 1n ? `${stats.dev}:${stats.ino}` : "";
		const node = this.#linked.get(identity) ?? this.#leaf(path, stats);
		if (identity !== "") this.#linked.set(identity, node);
		folder.node.children.set(name, node);
		return undefined;
	}

	#leaf(path: string, stats: BigIntStats): LeafNode {
		if (stats.isFile()) {
			const meta = metaOf((stats.mode & 0o100n) === 0n ? FILE_MODE : PROGRAM_MODE);
			return { kind: "file", meta, content: hostFile(`${this.#base}/${path}`, stats) };
		}
		if (stats.isSymbolicLink()) {
			const target = rawOf(this.#system(path, (at) => readlinkSync(at, { encoding: "buffer" })));
			if (!isRawUtf8(target)) throw new Refusal(printablePath(path), "where it leads is not valid UTF-8");
			return { kind: "symlink", meta: metaOf(LINK_MODE), target };
		}
		if (stats.isFIFO()) return { kind: "fifo", meta: metaOf(FILE_MODE) };
		if (stats.isCharacterDevice() || stats.isBlockDevice()) {
			const kind = stats.isBlockDevice() ? "block-device" : "character-device";
			const numbers = numbersOf(stats.rdev);
			checkDevice(printablePath(path), { kind, ...numbers });
			return { kind, meta: metaOf(DEVICE_MODE), ...numbers };
		}
		throw new Refusal(printablePath(path), "it is a socket, which no image holds");
	}

	#count(path: string, depth: number, stats: BigIntStats): void {
		this.#entries += 1;
		this.#nameBytes += path.length;
		if (stats.isFile()) this.#bytes += Number(stats.size);
		const { maxEntries, maxBytes, maxDepth, maxNameBytes } = this.#limits;
		const shown = printablePath(path);
		if (this.#entries > maxEntries) throw new Refusal(shown, `the folder has over ${maxEntries} entries`);
		if (this.#nameBytes > maxNameBytes) throw new Refusal(shown, `its names have over ${maxNameBytes} bytes`);
		if (this.#bytes > maxBytes) throw new Refusal(shown, `the folder's files have over ${maxBytes} bytes`);
		if (depth > maxDepth) throw new Refusal(shown, `it is over ${maxDepth} folders deep`);
	}

	#system<T>(path: string, act: (at: string | Buffer) => T): T {
		try {
			return act(systemPathOf(path === "" ? this.#base : `${this.#base}/${path}`));
		} catch (error) {
			const reason = `${printablePath(path === "" ? this.#base : path)}: ${(error as NodeJS.ErrnoException).code}.`;
			throw fail("rootfs-unreadable", { source: printablePath(this.#base), reason }, error);
		}
	}
}

function metaOf(mode: number): NodeMeta {
	return { mode, uid: 0, gid: 0, mtimeS: 0, mtimeNs: 0, xattrs: [] };
}

/** gnu_dev_major() and gnu_dev_minor() of sysmacros.h. */
function numbersOf(device: bigint): { readonly major: number; readonly minor: number } {
	const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
	const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn);
	return { major: Number(major), minor: Number(minor) };
}

/** A file that must still be the one that was looked at when its folder was read, before and after its bytes are. */
function hostFile(path: string, seen: BigIntStats): Content {
	const sizeBytes = Number(seen.size);
	const changed = (cause?: unknown) => fail("rootfs-changed", { source: printablePath(path) }, cause);
	return {
		sizeBytes,
		open: () => {
			let file: number;
			try {
				file = openSync(systemPathOf(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
			} catch (error) {
				const { code } = error as NodeJS.ErrnoException;
				if (code === "ENOENT" || code === "ELOOP") throw changed(error);
				throw fail("rootfs-unreadable", { source: printablePath(path), reason: `${code}.` }, error);
			}
			const check = () => {
				const now = fstatSync(file, { bigint: true });
				const same = now.dev === seen.dev && now.ino === seen.ino && now.size === seen.size;
				if (!same || now.mtimeNs !== seen.mtimeNs || now.ctimeNs !== seen.ctimeNs) throw changed();
			};
			try {
				check();
			} catch (error) {
				closeSync(file);
				throw error;
			}
			let left = sizeBytes;
			return {
				read: (into, offset, length) => {
					for (let done = 0; done < length; ) {
						const bytes = readSync(file, into, offset + done, length - done, null);
						if (bytes === 0) throw changed();
						done += bytes;
					}
					left -= length;
					if (left === 0) check();
				},
				close: () => closeSync(file),
			};
		},
	};
}
