import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

export const facilityIdSchema = z.string().regex(/^[A-Za-z0-9_-]{1,128}$/);

const noteSchema = z.object({ createdMs: z.number(), usedMs: z.number(), state: z.enum(["preparing", "ready"]) });
type Note = z.infer<typeof noteSchema>;

/** Few at a time: removing a large tree keeps the disk busy. */
const MOST_PRUNED = 8;

export interface PruneAges {
	/** 0 keeps them however long they are idle. */
	readonly idleMs: number;
	/** 0 keeps them however old they are. */
	readonly oldMs: number;
}

/** The facilities of a territory: one folder each, with one writer at a time. */
export class Facilities {
	readonly #directory: string;
	readonly #notes: string;
	readonly #turns = new Map<string, Promise<unknown>>();

	/** @param directory made 0700; `.vouch` in it is ours, as no facility can be named so */
	constructor(directory: string) {
		this.#directory = directory;
		this.#notes = join(directory, ".vouch");
		mkdirSync(this.#notes, { recursive: true, mode: 0o700 });
	}

	get directory(): string {
		return this.#directory;
	}

	/** Runs `work` in the facility's folder when nobody else does any more. `prepare` fills a folder that is new or was left half-filled. */
	use<T>(
		id: string,
		nowMs: number,
		prepare: (folder: string) => Promise<void>,
		work: (folder: string) => Promise<T>,
	): Promise<T> {
		const before = this.#turns.get(id) ?? Promise.resolve();
		const turn = before.then(async () => {
			const folder = await this.#ready(id, nowMs, prepare);
			return work(folder);
		});
		const settled = turn.then(
			() => {},
			() => {},
		);
		this.#turns.set(id, settled);
		void settled.then(() => {
			if (this.#turns.get(id) === settled) this.#turns.delete(id);
		});
		return turn;
	}

	/** Removes what was idle or is old, and not in use; answers the ids. */
	async prune(nowMs: number, { idleMs, oldMs }: PruneAges): Promise<readonly string[]> {
		const isDue = (id: string): boolean => {
			const note = this.#read(id);
			if (note === undefined || this.#turns.has(id)) return false;
			return (idleMs > 0 && nowMs - note.usedMs > idleMs) || (oldMs > 0 && nowMs - note.createdMs > oldMs);
		};
		const due = this.#ids().filter(isDue).slice(0, MOST_PRUNED);
		for (const id of due) {
			// Out of the way first: what takes long must not be seen half-done.
			const doomed = join(this.#notes, `${id}.removed`);
			await rename(join(this.#directory, id), doomed).catch(() => {});
			rmSync(this.#notePath(id), { force: true });
			await rm(doomed, { recursive: true, force: true });
		}
		return due;
	}

	async #ready(id: string, nowMs: number, prepare: (folder: string) => Promise<void>): Promise<string> {
		const folder = join(this.#directory, facilityIdSchema.parse(id));
		const known = this.#read(id);
		// Ours are noted before they are made; one without a note was brought by a person, who filled it.
		if (known === undefined && existsSync(folder) && readdirSync(folder).length > 0)
			this.#write(id, { createdMs: nowMs, usedMs: nowMs, state: "ready" });
		else if (known?.state === "ready") this.#write(id, { ...known, usedMs: nowMs });
		if (this.#read(id)?.state === "ready" && existsSync(folder)) return folder;
		this.#write(id, { createdMs: nowMs, usedMs: nowMs, state: "preparing" });
		await rm(folder, { recursive: true, force: true });
		mkdirSync(folder, { mode: 0o755 });
		await prepare(folder);
		this.#write(id, { createdMs: nowMs, usedMs: nowMs, state: "ready" });
		return folder;
	}

	#ids(): string[] {
		return readdirSync(this.#directory).filter((name) => facilityIdSchema.safeParse(name).success);
	}

	#notePath(id: string): string {
		return join(this.#notes, `${id}.json`);
	}

	#read(id: string): Note | undefined {
		try {
			return noteSchema.parse(JSON.parse(readFileSync(this.#notePath(id), "utf8")));
		} catch {
			return undefined;
		}
	}

	#write(id: string, note: Note): void {
		writeFileSync(this.#notePath(id), JSON.stringify(note), { mode: 0o600 });
	}
}
