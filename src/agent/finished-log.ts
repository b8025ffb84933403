import { constants, mkdirSync } from "node:fs";
import { open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { digestOf, hexOfDigest } from "../core/index.ts";
import { artifactSchema } from "../runtime/schema.ts";

/** A report of an end that was not delivered yet (conduits section 7.13). */
const entrySchema = z.object({
	ts: z.string(),
	directive_id: z.string(),
	token: z.string(),
	request: z.record(z.string(), z.json()),
	/** The receipt, which goes before it. */
	receipt: z.json().optional(),
	/** Files that go before both: their bytes are kept beside this log. */
	artifacts: z.array(artifactSchema).optional(),
});
export type UndeliveredReport = z.infer<typeof entrySchema>;

/** A report nobody wants any more must not be kept for ever. */
const MAX_AGE_MS = 7 * 86_400_000;

/** Write-ahead log of ends: an end is on disk before the work counts as done, and gone when it was delivered or refused for good. */
export class FinishedLog {
	readonly #path: string;
	readonly #artifacts: string;
	/** One change after the other. */
	#turn: Promise<unknown> = Promise.resolve();

	/** @param directory of the node's own state, made 0700 */
	constructor(directory: string) {
		mkdirSync(directory, { recursive: true, mode: 0o700 });
		this.#path = join(directory, "finished.wal");
		this.#artifacts = join(directory, "artifacts");
		mkdirSync(this.#artifacts, { recursive: true, mode: 0o700 });
	}

	/** Where the artifacts of a directive are, each by its digest in hexadecimal. */
	artifactFolder(directiveId: string): string {
		return join(this.#artifacts, hexOfDigest(digestOf(directiveId)));
	}

	/** Takes them over, before their end is appended. */
	keepArtifacts(directiveId: string, folder: string): Promise<void> {
		return this.#after(async () => {
			const place = this.artifactFolder(directiveId);
			await rm(place, { recursive: true, force: true });
			await rename(folder, place);
		});
	}

	/** Nobody wants them any more. */
	dropArtifacts(directiveId: string): Promise<void> {
		return this.#after(() => rm(this.artifactFolder(directiveId), { recursive: true, force: true }));
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
			await rm(this.artifactFolder(report.directive_id), { recursive: true, force: true });
		});
	}

	/** Removes artifacts of ends that nobody knows: what was killed before it appended them left them. */
	sweep(): Promise<void> {
		return this.#after(async () => {
			const known = new Set((await this.#all()).map(({ directive_id }) => this.artifactFolder(directive_id)));
			for (const name of await readdir(this.#artifacts)) {
				const folder = join(this.#artifacts, name);
				if (!known.has(folder)) await rm(folder, { recursive: true, force: true });
			}
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
