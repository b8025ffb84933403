import { appendFileSync, renameSync, statSync } from "node:fs";
import type { Lease } from "../api/conduits/schema.ts";

/** What a node notes of a directive's way through it (conduits section 7.12). */
export type TapeEvent =
	| "directive_claimed"
	| "driver_select_failed"
	| "driver_selected"
	| "started_posted"
	| "started_post_failed"
	| "prepare_clone_started"
	| "prepare_clone_skipped"
	| "prepare_clone_failed"
	| "prepare_clone_succeeded"
	| "run_started"
	| "driver_error"
	| "run_finished"
	| "heartbeat_error"
	| "cancel_requested"
	| "finished_posted"
	| "finished_post_failed";

export interface TapeMore {
	readonly driver?: string;
	readonly detail?: string;
}

/** One JSON line for each event, for whoever looks for what went wrong. A full file becomes `PATH.1`, in the place of the one before. */
export class DebugTape {
	readonly #path: string;
	readonly #maxBytes: number;
	readonly #nowMs: () => number;

	constructor(path: string, maxBytes: number, nowMs: () => number) {
		this.#path = path;
		this.#maxBytes = maxBytes;
		this.#nowMs = nowMs;
	}

	note(event: TapeEvent, { directive_id, spec }: Pick<Lease, "directive_id" | "spec">, more: TapeMore = {}): void {
		const about = { directive_id, facility_id: spec.facility.id, profile: spec.sandbox_profile, ...more };
		const line = `${JSON.stringify({ ts: new Date(this.#nowMs()).toISOString(), ...about, event })}\n`;
		const size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
		if (size > 0 && size + Buffer.byteLength(line) > this.#maxBytes) renameSync(this.#path, `${this.#path}.1`);
		appendFileSync(this.#path, line, { mode: 0o600 });
	}
}
