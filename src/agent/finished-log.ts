import { constants, mkdirSync } from "node:fs";
import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

/** A report of an end that was not delivered yet (conduits section 7.13). */
const entrySchema = z.object({
	ts: z.string(),
	directive_id: z.string(),
	token: z.string(),
	request: z.record(z.string(), z.json()),
	/** The receipt, which goes before it. */
	receipt: z.json().optional(),
});
export type UndeliveredReport = z.infer<typeof entrySchema>;

/** A report nobody wants any more must not be kept for ever. */
const MAX_AGE_MS = 7 * 86_400_000;

/** Write-ahead log of ends: an end is on disk before the work counts as done, and gone when it was delivered or refused for good. */
export class FinishedLog {
	readonly #path: string;
	/** One change after the other. */
	#turn: Promise<unknown> = Promise.resolve();

	/** @param directory of the node's own state, made 0700 */
	constructor(directory: string) {
		mkdirSync(directory, { recursive: true, mode: 0o700 });
		this.#path = join(directory, "finished.wal");
	}

	append(report: UndeliveredReport): Promise<void> {
		return this.#after(async () => {
			const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
			const file = await open(this.#path, flags, 0o600);
			try {
				// A line of its own, also after one that a crash cut off.
				await file.write(`\n${JSON.stringify(report)}\n`);
				await file.sync();
			} finally {
				await file.close();
			}
		});
	}

	/** What waits, oldest first. A line that can't be read is none: it was cut off by a crash while it was written. */
	read(nowMs: number): Promise<readonly UndeliveredReport[]> {
		return this.#after(async () => (await this.#all()).filter(({ ts }) => nowMs - Date.parse(ts) < MAX_AGE_MS));
	}

	/** It was delivered, or refused for good. The others are whole or as before, whenever the machine stops. */
	remove(report: UndeliveredReport): Promise<void> {
		return this.#after(async () => {
			const kept = (await this.#all()).filter(({ token }) => token !== report.token);
			const temporary = `${this.#path}.new`;
			const file = await open(temporary, "w", 0o600);
			try {
				await file.writeFile(kept.map((report) => `${JSON.stringify(report)}\n`).join(""));
				await file.sync();
			} finally {
				await file.close();
			}
			await rename(temporary, this.#path);
		});
	}

	async #all(): Promise<readonly UndeliveredReport[]> {
		const text = await readFile(this.#path, "utf8").catch(() => "");
		return text.split("\n").flatMap((line) => entrySchema.safeParse(parseJson(line)).data ?? []);
	}

	#after<T>(work: () => Promise<T>): Promise<T> {
		const next = this.#turn.then(work, work);
		this.#turn = next.catch(() => undefined);
		return next;
	}
}

function parseJson(line: string): unknown {
	try {
		return JSON.parse(line);
	} catch {
		return undefined;
	}
}
