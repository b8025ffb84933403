import type { Logger } from "pino";
import { FINISHED_STATUSES, type Lease } from "../api/conduits/schema.ts";
import { sendArtifacts } from "./artifact-upload.ts";
import { delivered, type Waiting } from "./back-off.ts";
import type { ConduitsClient } from "./conduits-client.ts";
import type { DebugTape, TapeEvent, TapeMore } from "./debug-tape.ts";
import { deliverEnd } from "./end-report.ts";
import type { Engine, Execution } from "./engine.ts";
import type { FinishedLog, UndeliveredReport } from "./finished-log.ts";
import { LogUploader } from "./log-uploader.ts";
import type { NodeEvent } from "./node-event.ts";

export interface DirectiveRunParts {
	readonly client: ConduitsClient;
	readonly engine: Engine;
	readonly finishedLog: FinishedLog;
	readonly waiting: Waiting;
	readonly log: Logger;
	/** None unless the settings ask for one. */
	readonly tape?: DebugTape | undefined;
	readonly version: string;
	readonly heartbeatMs: number;
	readonly maxOutputBytes: number;
	readonly nowMs: () => number;
	readonly noted: (event: NodeEvent) => void;
	/** Aborted when the node shuts down at once. */
	readonly shutdown: AbortSignal;
}

const NOTHING_RAN: Execution = {
	status: "failed",
	exitCode: 125,
	driver: "",
	receipt: null,
	diff: null,
	diffTruncated: "whole",
	cut: [],
	snapshots: { before: null, after: null },
	overflow: null,
	artifacts: [],
};

/** A lease lasts so long from when it was asked for. */
export interface LeaseTime {
	readonly leaseMs: number;
	readonly askedMs: number;
}

/** Before a lease is over the work must be: asking it to end and killing it takes five seconds. */
const STOPPING_MS = 10_000;

/** What became of a lease: its end was told, is kept on disk, is nobody's business any more, or it was never begun. */
export type Outcome = "delivered" | "kept" | "lost" | "refused";

/** One lease from `started` to `finished` (conduits section 7.6). Its end is delivered or on disk when `run` resolves. */
export class DirectiveRun {
	readonly lease: Lease;
	readonly #parts: DirectiveRunParts;
	/** Stops the work: cancelled, shutdown, or the lease is lost. */
	readonly #stop = new AbortController();
	readonly #lost = new AbortController();
	#token: string;
	readonly #leaseMs: number;
	/** When that was asked for which gave the lease, or renewed it: it lasts from then at least. */
	#renewedMs: number;
	#why: "canceled" | null = null;
	#status: string | null = null;
	#driver = "";

	constructor(lease: Lease, { leaseMs, askedMs }: LeaseTime, parts: DirectiveRunParts) {
		this.lease = lease;
		this.#leaseMs = leaseMs;
		this.#renewedMs = askedMs;
		this.#parts = parts;
		this.#token = lease.directive_token;
		parts.shutdown.addEventListener("abort", () => this.cancel(), { once: true });
	}

	/** Asked for by a person, or because the node goes. */
	cancel(): void {
		if (this.#why === null) this.#tape("cancel_requested");
		this.#why = "canceled";
		this.#stop.abort();
	}

	/** As its end was reported; null before. */
	get status(): string | null {
		return this.#status;
	}

	/** What held it; empty when nothing ran. */
	get driver(): string {
		return this.#driver;
	}

	async run(): Promise<Outcome> {
		const { engine, finishedLog, log } = this.#parts;
		this.#tape("directive_claimed");
		const refused = await engine.refuse(this.lease);
		if (refused !== undefined) {
			log.warn({ directive: this.lease.directive_id, reason: refused }, "directive refused");
			this.#tape("driver_select_failed", { detail: refused });
		}
		if (!(await this.#begin(refused === undefined ? engine.version : "nexusd"))) return "lost";
		if (refused !== undefined) return this.#refuse(refused);
		const beating = this.#beat();
		const uploader = this.#uploader();
		const ties = {
			write: (stream: "stdout" | "stderr", bytes: Uint8Array) => uploader.write(stream, bytes),
			keepArtifacts: (folder: string) => finishedLog.keepArtifacts(this.lease.directive_id, folder),
			tape: (event: TapeEvent, more?: TapeMore) => this.#tape(event, more),
			stop: this.#stop.signal,
		};
		const execution = await engine.execute(this.lease, ties).catch((error: unknown) => this.#broken(error, uploader));
		this.#driver = execution.driver;
		if (this.#lost.signal.aborted) {
			beating.abort();
			await finishedLog.dropArtifacts(this.lease.directive_id);
			return "lost";
		}
		const report = await this.#keep(this.#endOf(execution, uploader.cut), execution);
		await uploader.end();
		const sent = await this.#sendArtifacts(report);
		beating.abort();
		return sent === "kept" ? "kept" : this.#deliver(report);
	}

	#tape(event: TapeEvent, more?: TapeMore): void {
		this.#parts.tape?.note(event, this.lease, more);
	}

	#endOf(execution: Execution, cut: LogUploader["cut"]): Readonly<Record<string, unknown>> {
		const { status, exitCode, diff, diffTruncated, snapshots, overflow } = execution;
		return {
			status: this.#why === "canceled" && status !== "succeeded" ? "canceled" : status,
			exit_code: exitCode,
			stdout_truncated: [...cut, ...execution.cut].includes("stdout"),
			stderr_truncated: [...cut, ...execution.cut].includes("stderr"),
			diff_truncated: diffTruncated === "truncated",
			...(diff === null ? {} : { diff_base64: Buffer.from(diff).toString("base64") }),
			...(snapshots.before === null ? {} : { snapshot_before: snapshots.before }),
			...(snapshots.after === null ? {} : { snapshot_after: snapshots.after }),
			artifacts_manifest: overflow === null ? {} : { log_overflow: overflow },
			finished_at: new Date(this.#parts.nowMs()).toISOString(),
		};
	}

	/** False when the lease is not ours any more. */
	async #begin(sandboxVersion: string): Promise<boolean> {
		const { client, waiting, version, nowMs, shutdown, log } = this.#parts;
		const { directive_id } = this.lease;
		const { net, fs } = this.lease.spec.capabilities ?? {};
		const body = {
			sandbox_version: sandboxVersion,
			nexus_version: version,
			started_at: new Date(nowMs()).toISOString(),
			effective_capabilities_summary: { profile: this.lease.spec.sandbox_profile, net: net ?? null, fs: fs ?? null },
		};
		const reply = await delivered(() => client.report(directive_id, "started", body, this.#token), waiting, shutdown);
		const state = (reply?.body as { readonly state?: unknown } | null | undefined)?.state;
		// One that has ended meanwhile is answered like one that runs.
		const isTaken = reply !== undefined && reply.status < 300 && !FINISHED_STATUSES.some((end) => end === state);
		this.#tape(isTaken ? "started_posted" : "started_post_failed", { detail: `status ${reply?.status ?? 0}` });
		if (isTaken) return true;
		log.warn({ directive: directive_id, status: reply?.status ?? 0 }, "the lease was lost before the start");
		return false;
	}

	/** Renews the lease until it is told to end; a lost lease stops the work (section 12.2, 9). */
	#beat(): AbortController {
		const end = new AbortController();
		const { waiting, heartbeatMs } = this.#parts;
		const loop = async (): Promise<void> => {
			for (;;) {
				await waiting.pause(heartbeatMs, end.signal);
				if (end.signal.aborted || !(await this.#renew())) return;
			}
		};
		void loop();
		void this.#watchLease(end.signal);
		return end;
	}

	/** A lease that could not be renewed runs out, and then another node may have the facility: two must never write in it. */
	async #watchLease(end: AbortSignal): Promise<void> {
		const { waiting, nowMs } = this.#parts;
		const stoppingMs = Math.min(STOPPING_MS, this.#leaseMs / 3);
		for (;;) {
			const leftMs = this.#renewedMs + this.#leaseMs - stoppingMs - nowMs();
			if (leftMs <= 0) return this.#lose("it could not be renewed in time");
			await waiting.pause(leftMs, end);
			if (end.aborted) return;
		}
	}

	#lose(reason: string): void {
		this.#parts.log.warn({ directive: this.lease.directive_id, reason }, "the lease is lost: the directive is stopped");
		this.#lost.abort();
		this.#stop.abort();
	}

	/** False when there is nothing more to renew. */
	async #renew(): Promise<boolean> {
		const { client, log, nowMs, noted } = this.#parts;
		const { directive_id: directive } = this.lease;
		const askedMs = nowMs();
		const now = new Date(askedMs).toISOString();
		const beat = await client.renew(directive, this.#token, now).catch((error: Error) => {
			noted({ kind: "heartbeat-error" });
			this.#tape("heartbeat_error", { detail: error.message });
			log.warn({ directive, problem: error.message }, "a heartbeat failed");
		});
		if (beat === undefined) return true;
		if ("lost" in beat) {
			this.#lose(`the control plane answers ${beat.lost}`);
			return false;
		}
		this.#token = beat.directive_token;
		this.#renewedMs = askedMs;
		if (beat.cancel_requested) this.cancel();
		return true;
	}

	#uploader(): LogUploader {
		const { client, waiting, maxOutputBytes, shutdown } = this.#parts;
		const limit = this.lease.spec.limits?.max_output_bytes;
		return new LogUploader({
			send: (chunk) => client.report(this.lease.directive_id, "log_chunks", chunk, this.#token),
			waiting,
			maxBytes: limit !== undefined && limit > 0 ? limit : maxOutputBytes,
			stop: AbortSignal.any([this.#lost.signal, shutdown]),
		});
	}

	/** A failure of ours is told where the output is, and never looks like a success. */
	async #broken(error: unknown, uploader: LogUploader): Promise<Execution> {
		this.#parts.log.error({ err: error, directive: this.lease.directive_id }, "the directive could not be run");
		const sentence = error instanceof Error ? error.message : String(error);
		this.#tape("driver_error", { detail: sentence });
		await uploader.write("stderr", Buffer.from(`[vouch] ${sentence}\n`));
		return NOTHING_RAN;
	}

	async #refuse(reason: string): Promise<Outcome> {
		const { client, waiting, shutdown, nowMs } = this.#parts;
		const bytes = Buffer.from(`[vouch] ${reason}\n`).toString("base64");
		const chunk = { stream: "stderr", seq: 0, bytes, truncated: false };
		const { directive_id: directive } = this.lease;
		await delivered(() => client.report(directive, "log_chunks", chunk, this.#token), waiting, shutdown);
		const finished_at = new Date(nowMs()).toISOString();
		const report = await this.#keep({ status: "failed", exit_code: 125, finished_at }, NOTHING_RAN);
		const outcome = await this.#deliver(report);
		return outcome === "delivered" ? "refused" : outcome;
	}

	/** On disk: from here on the end survives whatever happens to this process. */
	async #keep(
		request: Readonly<Record<string, unknown>>,
		{ receipt, artifacts }: Pick<Execution, "receipt" | "artifacts">,
	): Promise<UndeliveredReport> {
		const report: UndeliveredReport = {
			ts: new Date(this.#parts.nowMs()).toISOString(),
			directive_id: this.lease.directive_id,
			token: this.#token,
			request: request as UndeliveredReport["request"],
			...(receipt === null ? {} : { receipt: receipt as NonNullable<UndeliveredReport["receipt"]> }),
			...(artifacts.length === 0 ? {} : { artifacts: [...artifacts] }),
		};
		await this.#parts.finishedLog.append(report);
		this.#status = String(request.status);
		return report;
	}

	/** While the lease is renewed: they may be many bytes. When it is lost, the end is refused as well. */
	async #sendArtifacts(report: UndeliveredReport): Promise<"sent" | "kept"> {
		const { client, finishedLog, waiting, shutdown, log } = this.#parts;
		const folder = finishedLog.artifactFolder(report.directive_id);
		const stop = AbortSignal.any([this.#lost.signal, shutdown]);
		const token = () => this.#token;
		const sent = await sendArtifacts(report, { client, folder, token, waiting, stop, log });
		return this.#lost.signal.aborted ? "sent" : sent;
	}

	async #deliver(report: UndeliveredReport): Promise<Outcome> {
		const { client, waiting, finishedLog, shutdown, log } = this.#parts;
		const { directive_id: directive } = report;
		// The newest token: the kept one may have run out while output was sent.
		const delivery = await deliverEnd(client, { ...report, token: this.#token }, waiting, shutdown);
		this.#tape(delivery.kind === "delivered" ? "finished_posted" : "finished_post_failed", { detail: delivery.kind });
		if (delivery.kind === "kept") return "kept";
		await finishedLog.remove(report);
		if (delivery.kind === "refused") {
			log.warn({ directive, status: delivery.status }, "the end was refused: the lease was lost");
			return "lost";
		}
		const { receiptStatus } = delivery;
		if (receiptStatus !== null && receiptStatus >= 300)
			log.warn({ directive, status: receiptStatus }, "the control plane did not take the receipt");
		return "delivered";
	}
}
