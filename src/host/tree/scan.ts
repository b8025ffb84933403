import { realpathSync } from "node:fs";
import { dirname, resolve, sep } from "node:path";
import { openContentCache } from "./content-cache.ts";
import { fail } from "./failures.ts";
import { collectGitSettings } from "./git-settings.ts";
import { openHashing } from "./hashing.ts";
import { rawOfPath, rawOfText } from "./path-text.ts";
import { foldTree, type TreeSnapshot } from "./snapshot.ts";
import { type TreeLimits, Walk } from "./walk.ts";

export interface ScanOptions {
	/**
	 * Remembers contents between scans of this one folder; kept outside it. Made when missing, 0600, replaced whole.
	 * The first scan of 50,000 files reads all of them, later ones those that changed.
	 */
	readonly cacheFile?: string;
	/** Printable paths below the root to leave out, each with all below it. The digest is then that of the rest. */
	readonly exclude?: readonly string[];
	readonly limits?: Partial<TreeLimits>;
	/** Ends the scan early: it rejects with the signal's reason. */
	readonly signal?: AbortSignal;
}

export const DEFAULT_TREE_LIMITS: TreeLimits = {
	// Half a kilobyte of memory each while they are compared.
	maxEntries: 1_000_000,
	// Each level keeps a descriptor open, and 1024 of them is a usual limit for a process.
	maxDepth: 256,
	maxFileBytes: 16 * 2 ** 30,
	maxTotalBytes: 256 * 2 ** 30,
};

/**
 * Content digest of a folder and everything in it, `.git` included. Follows no symbolic link, waits for no pipe, opens
 * no device. What could not be read stands in `problems` and is part of the digest as unreadable.
 * Throws VouchError `tree-root-unreadable` when the folder itself can't be read.
 */
export async function scanTree(root: string, options: ScanOptions = {}): Promise<TreeSnapshot> {
	options.signal?.throwIfAborted();
	const scanStartNs = BigInt(Date.now()) * 1_000_000n;
	const realRoot = realPathOf(root);
	if (options.cacheFile !== undefined) refuseInside(realRoot, options.cacheFile);
	const cache = openContentCache(options.cacheFile, scanStartNs);
	const hashing = openHashing();
	const git = collectGitSettings(realRoot);
	try {
		const walk = new Walk({
			limits: { ...DEFAULT_TREE_LIMITS, ...options.limits },
			exclude: new Set((options.exclude ?? []).map(rawOfPath)),
			cache,
			hashing,
			signal: options.signal,
			onFolder: git.look,
		});
		const node = await walk.run(rawOfText(realRoot)).catch((error: unknown) => {
			if (isSystemError(error)) throw fail("tree-root-unreadable", { root, cause: error.message }, error);
			throw error;
		});
		saveQuietly(cache);
		const problems = walk.problems.sort((a, b) => (a.path < b.path ? -1 : 1));
		return { ...foldTree(node), root: realRoot, problems, git: git.found(), counts: walk.counts };
	} finally {
		await hashing.close();
	}
}

function realPathOf(root: string): string {
	try {
		return realpathSync(root);
	} catch (error) {
		throw fail("tree-root-unreadable", { root, cause: error instanceof Error ? error.message : String(error) }, error);
	}
}

function refuseInside(realRoot: string, cacheFile: string): void {
	let folder = dirname(resolve(cacheFile));
	try {
		folder = realpathSync(folder);
	} catch {
		// Not there yet: its spelling has to do.
	}
	const inside = folder === realRoot || folder.startsWith(realRoot === sep ? sep : realRoot + sep);
	if (inside) throw fail("tree-cache-inside", { cacheFile, root: realRoot });
}

/** A cache that can't be written costs the next scan its speed and nothing else. */
function saveQuietly(cache: { save(): void }): void {
	try {
		cache.save();
	} catch (error) {
		if (!isSystemError(error)) throw error;
	}
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
	return error instanceof Error && "syscall" in error;
}
