import { randomBytes } from "node:crypto";
import { mkdirSync, renameSync } from "node:fs";
import { chmod, lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { tryLock } from "./lock.ts";

/** A folder of one piece of work. It goes with the work, or, when the process died, with the next sweep. */
export interface Scratch {
	readonly directory: string;
	remove(): Promise<void>;
}

const PREFIX = "tmp-";
const LOCK = "owner.lock";

/**
 * A fresh `tmp-…` folder in `parent`, mode 0700. Its lock is taken before it gets that name, so that a sweep never sees an
 * unlocked one that is in use.
 */
export function openScratch(parent: string): Scratch {
	const name = randomBytes(8).toString("hex");
	const making = join(parent, `${PREFIX}new-${process.pid}-${name}`);
	const directory = join(parent, `${PREFIX}${name}`);
	mkdirSync(making, { recursive: true, mode: 0o700 });
	// The lock belongs to the open file, which keeps it when its folder is renamed.
	const lock = tryLock(join(making, LOCK));
	if (lock === undefined) throw new Error(`${making} is taken, which can't be`);
	renameSync(making, directory);
	return {
		directory,
		remove: async () => {
			await removeTree(directory);
			lock.release();
		},
	};
}

/** Removes the folders in `parent` whose owner is dead; says how many. Folders of the living are left alone. */
export async function sweepScratch(parent: string): Promise<number> {
	const names = await readdir(parent).catch(() => []);
	let swept = 0;
	for (const name of names.filter((one) => one.startsWith(PREFIX))) {
		if (await isAbandoned(join(parent, name), name)) {
			await removeTree(join(parent, name));
			swept += 1;
		}
	}
	return swept;
}

async function isAbandoned(path: string, name: string): Promise<boolean> {
	const found = await lstat(path).catch(() => undefined);
	if (found === undefined || (process.geteuid?.() !== 0 && found.uid !== process.geteuid?.())) return false;
	if (!found.isDirectory()) return isOld(found.ctimeMs);
	// Between mkdir and rename for a moment; a crash there is told by age alone.
	if (name.startsWith(`${PREFIX}new-`)) return isOld(found.ctimeMs);
	try {
		const lock = tryLock(join(path, LOCK));
		lock?.release();
		return lock !== undefined;
	} catch {
		// Gone meanwhile, or not to be opened: whoever owns it deals with it.
		return false;
	}
}

const OLD_MS = 60_000;

function isOld(ctimeMs: number): boolean {
	return Date.now() - ctimeMs > OLD_MS;
}

/** Also what has folders that may not be written or entered, as unpacked images have. */
export async function removeTree(path: string): Promise<void> {
	try {
		await rm(path, { recursive: true, force: true });
	} catch {
		await openUp(path);
		await rm(path, { recursive: true, force: true, maxRetries: 3 });
	}
}

async function openUp(path: string): Promise<void> {
	await chmod(path, 0o700).catch(() => {});
	for (const entry of await readdir(path, { withFileTypes: true }).catch(() => [])) {
		if (entry.isDirectory()) await openUp(join(path, entry.name));
	}
}
