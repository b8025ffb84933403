import { createHash } from "node:crypto";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import type { Digest } from "../../core/index.ts";
import { scanTree, type TreeEntry, type TreeSnapshot } from "../../host/index.ts";
import { fail } from "../failures.ts";
import type { DigestOptions } from "./file-digest.ts";
import { ignoredPaths } from "./ignored-paths.ts";

/** One entry of a build context as it is staged, parents before what is in them. */
export interface StagedEntry {
	/** Below the folder, with `/` between. */
	readonly path: string;
	readonly kind: "file" | "directory" | "symlink";
	/** Only whether a file may be run is kept. */
	readonly mode: 0o755 | 0o644;
	/** Where a link leads; null for what is none. */
	readonly target: string | null;
	readonly sizeBytes: number;
}

export interface ContextFolder {
	readonly digest: Digest;
	readonly entries: readonly StagedEntry[];
}

const FORM = "vouch-image-tree/v1\n";

/**
 * Digest of a root file system in a folder, of exactly what `readFolder` takes of it: names, contents, where links lead,
 * which names are one file, and of modes whether a file may be run. Throws VouchError `image-source-unreadable`.
 */
export async function rootFolder(path: string, options: DigestOptions): Promise<Digest> {
	const { entries } = await scan(path, "root", [], options);
	const twins = new Map<string, string>();
	const link = (entryPath: string, entry: TreeEntry): string => {
		if (entry.type === "directory") return "";
		const stats = lstatSync(bytesOf(`${path}/${entryPath}`), { bigint: true, throwIfNoEntry: false });
		if (stats === undefined) throw fail("image-source-changed", { source: path });
		if (stats.nlink < 2n) return "";
		const identity = `${stats.dev}:${stats.ino}`;
		const first = twins.get(identity);
		if (first === undefined) twins.set(identity, entryPath);
		return first ?? "";
	};
	return foldedDigest(entries, link);
}

/**
 * A Dockerfile's context, or without a Dockerfile a named one: the folder without what its .dockerignore leaves out and without
 * the lock, which is written after a build and must not change the next. Throws VouchError `image-source-unreadable`, `dockerfile-impossible`.
 */
export async function contextFolder(
	folder: string,
	dockerfile: string | null,
	options: DigestOptions,
): Promise<ContextFolder> {
	const { entries } = await scan(folder, `context ${dockerfile ?? "alone"}`, ignoredPaths(folder, dockerfile), options);
	const staged: StagedEntry[] = [];
	for (const [path, entry] of sorted(entries)) {
		const { type: kind } = entry;
		if (kind !== "file" && kind !== "directory" && kind !== "symlink") {
			const reason = `${path} in it is a ${kind}; add it to .dockerignore or remove it`;
			throw fail("dockerfile-impossible", { source: folder, reason });
		}
		staged.push({ path: plainOf(path), kind, mode: modeOf(entry), target: targetOf(entry), sizeBytes: entry.size });
	}
	return { digest: foldedDigest(entries, () => ""), entries: staged };
}

async function scan(
	folder: string,
	purpose: string,
	exclude: readonly string[],
	{ cacheDirectory, signal }: DigestOptions,
): Promise<TreeSnapshot> {
	const key = createHash("sha256").update(`${purpose}\n${folder}`).digest("hex");
	const snapshot = await scanTree(folder, {
		exclude,
		cacheFile: join(cacheDirectory, "scans", key),
		...(signal && { signal }),
	});
	const [problem] = snapshot.problems;
	if (problem === undefined) return snapshot;
	throw fail("image-source-unreadable", { source: folder, reason: `${problem.path}: ${problem.reason}` });
}

function foldedDigest(
	entries: ReadonlyMap<string, TreeEntry>,
	linkOf: (path: string, entry: TreeEntry) => string,
): Digest {
	const hash = createHash("sha256").update(FORM);
	for (const [path, entry] of sorted(entries)) {
		const payload = entry.type === "directory" ? "-" : entry.payload;
		const link = linkOf(path, entry);
		hash.update(`${entry.type} ${modeOf(entry).toString(8)} ${payload} ${path.length}:${path} ${link}\n`);
	}
	return `sha256:${hash.digest("hex")}` as Digest;
}

/** By path, the root itself left out: a folder comes before what is in it. */
function sorted(entries: ReadonlyMap<string, TreeEntry>): readonly (readonly [string, TreeEntry])[] {
	return [...entries].filter(([path]) => path !== "").sort(([left], [right]) => (left < right ? -1 : 1));
}

function modeOf({ type, mode }: TreeEntry): 0o755 | 0o644 {
	return type === "directory" || (type === "file" && (mode & 0o100) !== 0) ? 0o755 : 0o644;
}

function targetOf({ target }: TreeEntry): string | null {
	return target === null ? null : plainOf(target);
}

/** What host's `printablePath` wrote: `\xhh` for a byte that a terminal would obey, hide or not know. */
function bytesOf(printable: string): Buffer | string {
	if (!printable.includes("\\x")) return printable;
	const raw = Buffer.from(printable, "utf8").toString("latin1");
	const bytes = raw.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
	return Buffer.from(bytes, "latin1");
}

function plainOf(printable: string): string {
	return bytesOf(printable).toString();
}
