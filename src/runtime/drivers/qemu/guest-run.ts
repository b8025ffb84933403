import { mkdir, rename, rm } from "node:fs/promises";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough, type Readable, type Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { VouchError } from "../../../core/index.ts";
import type { Ending, SupervisorEvent } from "../../../host/index.ts";
import type { Run } from "../../driver.ts";
import type { GuestEnding, GuestSession } from "../../guest/index.ts";
import { type AppliedChanges, applyChanges, type BuiltDisk } from "../../workspace-disk/index.ts";
import type { Booted } from "./boot.ts";
import type { QemuPlan } from "./plan.ts";

/** For a machine whose channel closed to end. */
const GOING_MS = 2000;

type Failed = Exclude<GuestEnding, { readonly kind: "workload" }>;

/** What of a plan the end of a run needs, whichever program the machine is of. */
export type GuestPlan = Pick<QemuPlan, "runId" | "folder" | "workspace">;

/** One run in a machine: what its guest says and what becomes of QEMU, as the one ending of a run. */
export class GuestRun {
	readonly #plan: GuestPlan;
	readonly #booted: Booted;
	readonly #work: BuiltDisk | null;
	readonly #listeners: ((event: SupervisorEvent) => void)[] = [];
	/** Events that came before anybody listened. */
	readonly #early: SupervisorEvent[] = [];
	readonly #notes: string[] = [];
	#session: GuestSession | null = null;
	#killed: "no" | "asked" | "at-once" = "no";

	constructor(plan: GuestPlan, booted: Booted, work: BuiltDisk | null) {
		this.#plan = plan;
		this.#booted = booted;
		this.#work = work;
		for (const { path, reason } of work?.problems ?? []) {
			this.#notes.push(`${path} was not shown to the guest: ${reason}`);
		}
	}

	/** Resolves when the workload runs, or never will: then the ending says why. */
	async begin(session: GuestSession, setup: Buffer): Promise<void> {
		this.#session = session;
		await session.begin(setup).catch(() => {});
	}

	note(event: SupervisorEvent): void {
		if (this.#listeners.length === 0) this.#early.push(event);
		for (const listener of this.#listeners) listener(event);
	}

	asRun(): Run {
		const { supervised } = this.#booted;
		const session = this.#session;
		return {
			stdin: session?.stdin ?? closedInput(),
			stdout: session?.stdout ?? closedOutput(),
			stderr: session?.stderr ?? closedOutput(),
			supervisorPid: supervised.supervisorPid,
			programPid: supervised.programPid,
			signal: (name) => session?.signal(constants.signals[name]),
			resize: (size) => session?.resize(size),
			watchDisk: (bytes) => supervised.watchDisk(bytes),
			kill: () => this.#kill(),
			onEvent: (listener) => {
				this.#listeners.push(listener);
				for (const event of this.#early.splice(0)) listener(event);
			},
			ended: this.#end(),
		};
	}

	/** In the guest first, so that what the workload wrote can still be brought back; the second time all of it at once. */
	#kill(): void {
		const { supervised } = this.#booted;
		if (this.#killed === "no" && this.#session !== null) {
			this.#killed = "asked";
			this.#session.kill(() => this.#kill());
			return;
		}
		this.#killed = "at-once";
		supervised.kill();
	}

	async #end(): Promise<Ending> {
		const ending = (await this.#session?.ended) ?? (await this.#neverMet());
		const applied = ending.kind === "workload" ? await this.#bringBack() : null;
		this.#session?.close();
		const machine = await this.#endMachine(ending);
		await rm(this.#plan.folder, { recursive: true, force: true });
		const failure = ending.kind === "workload" ? (applied?.failure ?? null) : ending;
		if (this.#plan.workspace !== null && (applied === null || applied.failure !== null)) {
			this.#notes.push("The workspace is as it was: what the command wrote was not brought back.");
		}
		return this.#compose(ending, failure, machine);
	}

	/** A machine that went by itself is let go: who ended it, the supervisor for a limit maybe, is told by its ending. */
	async #endMachine(ending: GuestEnding): Promise<Ending> {
		const { supervised } = this.#booted;
		if (ending.kind === "failed" && ending.reason === "guest-lost") {
			await Promise.race([supervised.ended, delay(GOING_MS, undefined, { ref: false })]);
		}
		supervised.kill();
		return supervised.ended;
	}

	/** QEMU ended before the guest's channel was there. */
	async #neverMet(): Promise<Failed> {
		const { supervised, said } = this.#booted;
		const { message, exitCode } = await supervised.ended;
		return { kind: "not-started", message: said.lastLine || message || `QEMU ended with ${exitCode}` };
	}

	/** The supervisor's own reasons come first: it ended QEMU, and the guest could not but go. */
	#compose(ending: GuestEnding, failure: Failed | null, machine: Ending): Ending {
		const common = {
			counters: this.#session?.counters ?? null,
			...(this.#notes.length === 0 ? {} : { notes: this.#notes }),
		};
		const gone = failure?.kind === "failed" && failure.reason === "guest-lost";
		if (gone && (machine.cause === "disk-write-limit" || machine.cause === "out-of-memory")) {
			return { exitCode: null, signal: "SIGKILL", cause: machine.cause, message: null, ...common };
		}
		if (gone && this.#killed !== "no") {
			return { exitCode: null, signal: "SIGKILL", cause: "killed", message: null, ...common };
		}
		if (failure?.kind === "not-started") {
			return { exitCode: null, signal: null, cause: "failed-to-start", message: failure.message, ...common };
		}
		if (failure?.kind === "failed") return this.#failed(failure, common);
		if (ending.kind !== "workload") throw new TypeError("a guest that failed has a failure");
		const { exitCode, memory } = ending;
		const killed = exitCode === 128 + constants.signals.SIGKILL;
		const cause = this.#killed !== "no" ? "killed" : memory === "limit-met" && killed ? "out-of-memory" : "program";
		return { exitCode, signal: null, cause, message: null, ...common };
	}

	#failed(failure: Extract<Failed, { readonly kind: "failed" }>, common: Pick<Ending, "counters" | "notes">): Ending {
		const { reason, message } = failure;
		const { console } = this.#booted;
		const last = reason === "guest-lost" || reason === "boot-timeout" ? console.lastLine : "";
		const words = last === "" ? message : `${message}; its console's last line: ${last}`;
		return { exitCode: null, signal: null, cause: "guest-failed", reason, message: words, ...common };
	}

	async #bringBack(): Promise<{ readonly failure: Failed | null }> {
		const { workspace, folder, runId } = this.#plan;
		const session = this.#session;
		if (workspace === null || session === null) return { failure: null };
		const keepDirectory = join(folder, "kept");
		await mkdir(keepDirectory, { mode: 0o700 });
		try {
			const applied = await applyChanges(session.collect(), {
				folder: workspace.folder,
				protected: workspace.protected,
				baseline: this.#work?.baseline ?? null,
				keepDirectory,
			});
			await this.#tell(applied, keepDirectory, join(dirname(dirname(folder)), "conflicts", runId));
			return { failure: null };
		} catch (error) {
			if (!(error instanceof VouchError)) throw error;
			return { failure: session.failure ?? this.#blame(error) };
		}
	}

	#blame(error: VouchError): Failed | null {
		const failed = (reason: Extract<Failed, { readonly kind: "failed" }>["reason"]): Failed => {
			return { kind: "failed", reason, message: error.message };
		};
		switch (error.code) {
			case "changes-malformed":
				return failed("guest-protocol");
			case "changes-cut-short":
				return failed("guest-lost");
			case "changes-timed-out":
				return failed("guest-stalled");
			default:
				// The guest is not to blame for a full disk or a folder that was taken away.
				this.#notes.push(error.message);
				return null;
		}
	}

	async #tell(applied: AppliedChanges, keepDirectory: string, conflicts: string): Promise<void> {
		for (const { path, reason, keptAs } of applied.refused) {
			this.#notes.push(`${path} was not brought back: ${reason}${keptAs === null ? "" : `; kept in ${conflicts}`}`);
		}
		if (applied.skippedCount > 0) {
			this.#notes.push(`${applied.skippedCount} devices, sockets or pipes in the workspace were left behind`);
		}
		if (!applied.refused.some(({ keptAs }) => keptAs !== null)) return;
		await mkdir(dirname(conflicts), { recursive: true, mode: 0o700 });
		await rename(keepDirectory, conflicts);
	}
}

function closedInput(): Writable {
	return new PassThrough().resume();
}

function closedOutput(): Readable {
	return new PassThrough().end();
}
