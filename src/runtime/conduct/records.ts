import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Clock, type RunId, runIdSchema } from "../../core/index.ts";
import { driverNameSchema } from "../schema.ts";
import type { PlannedRun } from "./parts.ts";

/** What is remembered of a run beside its receipt: enough to list it, and to clean up when Vouch was killed. */
export const runRecordSchema = z.strictObject({
	runId: runIdSchema,
	argv: z.array(z.string()),
	driver: driverNameSchema.nullable(),
	startedAt: z.iso.datetime(),
	/** The Vouch process that holds the run and its start time in clock ticks, so that a reused pid isn't mistaken for it. */
	owner: z.strictObject({ pid: z.int().positive(), startTicks: z.string() }),
	status: z.enum(["live", "ended", "interrupted"]),
});
export type RunRecord = z.infer<typeof runRecordSchema>;

/** The folder of runs: one folder each with record, output, diff and receipt. */
export class RunRecords {
	readonly #directory: string;
	constructor(directory: string) {
		this.#directory = directory;
	}

	/** Makes the run's folder and writes its record; must be called before anything of the run exists. */
	create(record: RunRecord): RunFiles {
		const files = this.files(record.runId);
		mkdirSync(files.directory, { recursive: true, mode: 0o700 });
		this.update(record);
		return files;
	}

	update(record: RunRecord): void {
		const { record: path } = this.files(record.runId);
		writeFileSync(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
		renameSync(`${path}.new`, path);
	}

	/** A run that never started leaves no trace. */
	forget(runId: RunId): void {
		rmSync(this.files(runId).directory, { recursive: true, force: true });
	}

	files(runId: RunId): RunFiles {
		const directory = join(this.#directory, runId);
		return {
			directory,
			record: join(directory, "record.json"),
			stdout: join(directory, "stdout"),
			stderr: join(directory, "stderr"),
			diff: join(directory, "workspace.diff"),
			artifacts: join(directory, "artifacts"),
			receipt: join(directory, `run-${runId}.receipt.json`),
		};
	}

	/** Newest first. Folders that are not runs are passed over. */
	list(): readonly RunRecord[] {
		const ids = this.#ids().sort().reverse();
		return ids.flatMap((id) => this.read(id) ?? []);
	}

	read(runId: RunId): RunRecord | undefined {
		try {
			return runRecordSchema.parse(JSON.parse(readFileSync(this.files(runId).record, "utf8")));
		} catch {
			return undefined;
		}
	}

	#ids(): RunId[] {
		try {
			return readdirSync(this.#directory).flatMap((name) => {
				const parsed = runIdSchema.safeParse(name);
				return parsed.success ? [parsed.data] : [];
			});
		} catch {
			return [];
		}
	}
}

export interface RunFiles {
	readonly directory: string;
	readonly record: string;
	readonly stdout: string;
	readonly stderr: string;
	readonly diff: string;
	/** A folder: each artifact by its digest in hexadecimal. */
	readonly artifacts: string;
	readonly receipt: string;
}

/** Start time of a process in clock ticks since boot (proc(5), field 22 of stat), or undefined when it is gone. */
export function startTicksOf(pid: number): string | undefined {
	try {
		const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
		return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
	} catch {
		return undefined;
	}
}

/** Of a run that begins now and is held by this process. */
export function recordOf({ runId, workload, driver }: PlannedRun, clock: Clock): RunRecord {
	return {
		runId,
		argv: workload.argv,
		driver: driver.name,
		startedAt: new Date(clock.nowMs()).toISOString(),
		owner: { pid: process.pid, startTicks: startTicksOf(process.pid) ?? "" },
		status: "live",
	};
}

export function isOwnerAlive(record: RunRecord): boolean {
	return startTicksOf(record.owner.pid) === record.owner.startTicks;
}
