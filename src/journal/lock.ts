import { closeSync, constants, openSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { codeOf } from "./private-files.ts";

/**
 * One writer at a time, across processes. Node has no flock(2); SQLite takes kernel record locks on a database file, which
 * the kernel drops when the process ends, however it ends. So a lock can't outlive its owner and is never broken by a guess
 * about pids. Nothing is ever written into that database.
 */
export class ProcessLock {
	readonly #path: string;
	readonly #waitMs: number;

	constructor(path: string, waitMs: number) {
		this.#path = path;
		this.#waitMs = waitMs;
	}

	/** Loads what `run` needs, for those who would rather wait now. */
	ready(): void {
		process.getBuiltinModule("node:sqlite");
	}

	/** Runs while no other process runs under this lock. Undefined when it stayed taken for the whole wait. */
	run<T>(work: () => T): { readonly value: T } | undefined {
		closeSync(openSync(this.#path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
		// Loaded here and not above: it takes 5 ms, and most of what opens a journal's folder only reads.
		const sqlite = process.getBuiltinModule("node:sqlite");
		const database = new sqlite.DatabaseSync(this.#path, { timeout: this.#waitMs });
		try {
			if (!this.#begin(database)) return undefined;
			return { value: work() };
		} finally {
			// Closing rolls back, which is all there is to release.
			database.close();
		}
	}

	#begin(database: DatabaseSync): boolean {
		try {
			database.exec("BEGIN EXCLUSIVE");
			return true;
		} catch (error) {
			if (codeOf(error) === "ERR_SQLITE_ERROR" && /locked|busy/.test(String(error))) return false;
			throw error;
		}
	}
}
