import { closeSync, constants, openSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * A lock that its holder's death releases. Node has no flock(2); SQLite takes kernel record locks on a database file, which
 * the kernel drops when the process ends, however it ends. Nothing is ever written into that database.
 */
export interface HeldLock {
	release(): void;
}

const RETRY_MS = 20;

/** Undefined when another process (or another part of this one) holds it. */
export function tryLock(path: string): HeldLock | undefined {
	closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
	// Loaded here and not above: it takes 5 ms, and most of what opens a store only reads.
	const sqlite = process.getBuiltinModule("node:sqlite");
	const database = new sqlite.DatabaseSync(path, { timeout: 0 });
	if (!begun(database)) {
		database.close();
		return undefined;
	}
	// Closing rolls back, which is all there is to release.
	return { release: () => database.close() };
}

/** Waits for the lock; undefined when it stayed taken all the time. */
export async function waitForLock(path: string, waitMs: number, signal?: AbortSignal): Promise<HeldLock | undefined> {
	const endMs = performance.now() + waitMs;
	for (;;) {
		signal?.throwIfAborted();
		const held = tryLock(path);
		if (held !== undefined || performance.now() >= endMs) return held;
		await sleep(RETRY_MS, undefined, signal === undefined ? {} : { signal });
	}
}

function begun(database: DatabaseSync): boolean {
	try {
		database.exec("BEGIN EXCLUSIVE");
		return true;
	} catch (error) {
		if (/locked|busy/.test(String(error))) return false;
		throw error;
	}
}
