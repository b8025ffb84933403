import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Digest, hexOfDigest } from "../../core/index.ts";
import { type HeldLock, tryLock } from "../scratch/index.ts";

/** Where the blobs of one artifact come together. Kept when a pull fails, so that the next one goes on; one process at a time. */
export interface PullFolder {
	readonly directory: string;
	keep(): Promise<void>;
	remove(): Promise<void>;
}

const LOCK = "owner.lock";
const WAIT_MS = 200;
/** What a pull left and nobody came back for. */
const FORGOTTEN_MS = 7 * 24 * 3600 * 1000;

/** Waits while another process pulls the same artifact. */
export async function openPullFolder(
	cacheDirectory: string,
	artifact: Digest,
	signal: AbortSignal | undefined,
): Promise<PullFolder> {
	await prunePulls(cacheDirectory, FORGOTTEN_MS);
	const directory = join(cacheDirectory, "pulls", hexOfDigest(artifact));
	for (;;) {
		signal?.throwIfAborted();
		await mkdir(directory, { recursive: true, mode: 0o700 });
		const lock = await lockOf(directory);
		if (lock !== undefined) {
			return {
				directory,
				keep: async () => lock.release(),
				remove: async () => {
					await rm(directory, { recursive: true, force: true });
					lock.release();
				},
			};
		}
		await sleep(WAIT_MS, undefined, signal && { signal });
	}
}

/** Removes what interrupted pulls left longer ago than that. Says how many bytes. */
export async function prunePulls(
	cacheDirectory: string,
	olderThanMs: number,
	mode: "remove" | "report" = "remove",
): Promise<number> {
	const pulls = join(cacheDirectory, "pulls");
	let freedBytes = 0;
	const names = await readdir(pulls).catch(() => []);
	// Nothing but what `openPullFolder` makes is ever removed.
	for (const name of names.filter((one) => /^[0-9a-f]{64}$/.test(one))) {
		const directory = join(pulls, name);
		const found = await stat(directory).catch(() => undefined);
		if (found === undefined || found.mtimeMs > Date.now() - olderThanMs) continue;
		const lock = await lockOf(directory);
		if (lock === undefined) continue;
		freedBytes += await sizeOf(directory);
		if (mode === "remove") await rm(directory, { recursive: true, force: true });
		lock.release();
	}
	return freedBytes;
}

/** Undefined when it is taken, or when the folder went away between two looks. */
async function lockOf(directory: string): Promise<HeldLock | undefined> {
	const path = join(directory, LOCK);
	try {
		const lock = tryLock(path);
		if (lock === undefined) return undefined;
		// Its last owner may have removed it just before it was ours.
		const there = await stat(path).catch(() => undefined);
		if (there !== undefined) return lock;
		lock.release();
		return undefined;
	} catch {
		return undefined;
	}
}

async function sizeOf(directory: string): Promise<number> {
	const names = await readdir(directory).catch(() => []);
	const sizes = await Promise.all(names.map((name) => stat(join(directory, name)).catch(() => undefined)));
	return sizes.reduce((sum, found) => sum + (found?.size ?? 0), 0);
}
