import { createHash } from "node:crypto";
import { FINISHED_STATUSES } from "../../api/conduits/schema.ts";
import { bytesFromBase64, canonicalJson, type Json } from "../../core/index.ts";
import { noteEvent } from "../domain-events.ts";
import type { Handlers } from "../http/handlers.ts";
import type { Identity } from "../http/identity.ts";
import { refusal } from "../http/refusal.ts";
import { flagOf, jsonOf, jsonText, textOf } from "../rows.ts";
import { DEFAULT_DIFF_BYTES, type Services } from "../services.ts";
import { change, type Directive, lockDirective } from "../store/queue.ts";
import type { Session } from "../store/store.ts";
import type { DirectiveRow } from "../store/tables.ts";
import { type DirectiveEvent, type DirectiveState, isTerminal } from "./states.ts";

type Finished = Parameters<Handlers["nodes.finished"]>[1]["body"];

/** The directive that the token speaks for, locked. It is still this territory's: looked at again under the lock. */
export async function heldDirective(session: Session, identity: Identity): Promise<Directive> {
	if (identity.kind !== "directive") throw new TypeError("a row for directives let somebody else in");
	const directive = await lockDirective(session, identity.directiveId);
	if (directive === undefined) throw refusal("not-found", { kind: "directive", id: identity.directiveId });
	const isSameLease = identity.leaseId === null || identity.leaseId === directive.lease_id;
	if (directive.territory_id === identity.territory.id && isSameLease) return directive;
	const reason = isSameLease ? "another territory holds the directive now" : "the lease is over";
	throw refusal("forbidden", { what: `Reporting on ${directive.id}`, reason });
}

/** Conduits section 2.3.5. Told twice, it answers alike; told with other versions, it refuses. */
export function started({ settings }: Services): Handlers["nodes.started"] {
	return ({ identity, store }, { body }) =>
		store.transaction(async (session) => {
			const directive = await heldDirective(session, identity);
			const state = directive.state as DirectiveState;
			const conflict = (reason: string) => refusal("invalid-state", { what: `Starting ${directive.id}`, reason });
			if (state !== "leased" && state !== "running" && !isTerminal(state)) throw conflict(`it is ${state}`);
			const told = { sandbox_version: textOf(body.sandbox_version), nexus_version: textOf(body.nexus_version) };
			for (const name of ["sandbox_version", "nexus_version"] as const) {
				if (told[name] !== null && directive[name] !== null && told[name] !== directive[name])
					throw conflict(`its ${name} is already another`);
			}
			const versions = {
				sandbox_version: directive.sandbox_version ?? told.sandbox_version,
				nexus_version: directive.nexus_version ?? told.nexus_version,
			};
			const isFirst = state === "leased";
			if (isFirst) await begin(session, directive, settings.leaseMs, versions);
			else await session.db.updateTable("directives").set(versions).where("id", "=", directive.id).execute();
			const now = isFirst ? "running" : state;
			return { status: 200, body: { ok: true, directive_id: directive.id, state: now, duplicate: !isFirst } };
		});
}

async function begin(
	session: Session,
	directive: Directive,
	leaseMs: number,
	versions: Partial<DirectiveRow> = {},
): Promise<Directive> {
	const { nowMs } = session;
	const running = await change(session, directive, "start", {
		...versions,
		attempts: directive.attempts + 1,
		started_at: nowMs,
		lease_expires_at: nowMs + leaseMs,
	});
	await noteEvent(session, {
		accountId: directive.account_id,
		type: "directive.started",
		territoryId: directive.territory_id,
		directiveId: directive.id,
		payload: {
			time_to_start_ms: nowMs - directive.created_at,
			territory_id: directive.territory_id,
			sandbox_version: running.sandbox_version,
		},
	});
	return running;
}

/** Section 2.3.6. */
export function directiveHeartbeat(services: Services): Handlers["nodes.directiveHeartbeat"] {
	return async ({ identity, store }) => {
		const beat = await store.transaction(async (session) => {
			const directive = await heldDirective(session, identity);
			if (directive.state !== "running")
				throw refusal("invalid-state", { what: `A heartbeat for ${directive.id}`, reason: `it is ${directive.state}` });
			const { nowMs } = session;
			await session.db
				.updateTable("directives")
				.set({ lease_expires_at: nowMs + services.settings.leaseMs, last_heartbeat_at: nowMs })
				.where("id", "=", directive.id)
				.execute();
			return { directive, nowMs };
		});
		const { id, territory_id, lease_id, cancel_requested_at } = beat.directive;
		const claims = { directiveId: id, territoryId: territory_id ?? "", leaseId: lease_id };
		const directive_token = services.tokens.issue(claims, beat.nowMs);
		const cancel_requested = cancel_requested_at !== null;
		return { status: 200, body: { cancel_requested, lease_renewed: true, directive_token } };
	};
}

const EVENT_OF = {
	succeeded: "succeed",
	failed: "fail",
	canceled: "cancel",
	timed_out: "time_out",
} as const satisfies Record<(typeof FINISHED_STATUSES)[number], DirectiveEvent>;
type Status = keyof typeof EVENT_OF;

/** Section 2.3.8: the end, once. The same report again is a duplicate, another one is refused. */
export function finished(services: Services): Handlers["nodes.finished"] {
	return async ({ identity, store }, { body }) => {
		const status = statusOf(body);
		const exitCode = exitCodeOf(body);
		if (identity.kind !== "directive") throw new TypeError("a row for directives let somebody else in");
		const stored = await store.read(({ db }) =>
			db.selectFrom("directives").select("limits").where("id", "=", identity.directiveId).executeTakeFirst(),
		);
		const { max_diff_bytes: most } = jsonOf<{ max_diff_bytes?: number }>(stored?.limits ?? "{}");
		const diff = diffOf(body, most || DEFAULT_DIFF_BYTES);
		// Durable before the row that names it.
		const diffDigest = diff === null ? null : await services.blobs.put(diff);
		const report: Report = { status, exitCode, body, diffDigest, hash: resultHash(status, exitCode, body, diff) };
		return store.transaction(async (session) => {
			const directive = await heldDirective(session, identity);
			if (isTerminal(directive.state as DirectiveState)) return again(session, directive, report);
			const running =
				directive.state === "leased" ? await begin(session, directive, services.settings.leaseMs) : directive;
			if (running.state !== "running") throw conflict(directive, `it is ${running.state}`);
			const ended = await end(session, running, report);
			return { status: 200, body: { ok: true, directive_id: ended.id, final_state: ended.state, duplicate: false } };
		});
	};
}

interface Report {
	readonly status: Status;
	/** Undefined leaves what is stored. */
	readonly exitCode: number | null | undefined;
	readonly body: Finished;
	readonly diffDigest: string | null;
	readonly hash: string;
}

function conflict(directive: Directive, reason: string): Error {
	return refusal("invalid-state", { what: `Finishing ${directive.id}`, reason });
}

async function end(session: Session, directive: Directive, report: Report): Promise<Directive> {
	const { status, exitCode, body, diffDigest, hash } = report;
	if (directive.diff_digest !== null && diffDigest !== null && directive.diff_digest !== diffDigest)
		throw conflict(directive, "another diff is stored for it");
	const ended = await change(session, directive, EVENT_OF[status], {
		finished_status: status,
		...(exitCode === undefined ? {} : { exit_code: exitCode }),
		stdout_truncated: flagOf(directive.stdout_truncated || body.stdout_truncated),
		stderr_truncated: flagOf(directive.stderr_truncated || body.stderr_truncated),
		diff_truncated: flagOf(directive.diff_truncated || body.diff_truncated),
		snapshot_before: body.snapshot_before ?? directive.snapshot_before,
		snapshot_after: body.snapshot_after ?? directive.snapshot_after,
		artifacts_manifest: jsonText(body.artifacts_manifest ?? {}),
		diff_digest: directive.diff_digest ?? diffDigest,
		result_hash: hash,
		finished_at: timeTold(body.finished_at, directive.started_at ?? session.nowMs, session.nowMs),
	});
	await noteOddClock(session, directive, body.finished_at);
	await noteEvent(session, {
		accountId: directive.account_id,
		type: "directive.finished",
		territoryId: directive.territory_id,
		directiveId: directive.id,
		payload: {
			status,
			exit_code: ended.exit_code,
			total_duration_ms: session.nowMs - directive.created_at,
			territory_id: directive.territory_id,
		},
	});
	return ended;
}

async function again(session: Session, directive: Directive, { status, hash }: Report) {
	const sameStatus = (directive.finished_status ?? directive.state) === status;
	const sameHash = directive.result_hash === null || directive.result_hash === hash;
	if (!sameStatus || !sameHash) throw conflict(directive, "it has ended, and otherwise than this says");
	if (directive.result_hash === null)
		await session.db.updateTable("directives").set({ result_hash: hash }).where("id", "=", directive.id).execute();
	const body = { ok: true as const, directive_id: directive.id, final_state: directive.state, duplicate: true };
	return { status: 200 as const, body };
}

function statusOf({ status }: Finished): Status {
	const known = FINISHED_STATUSES.find((one) => one === status);
	if (known !== undefined) return known;
	throw refusal("invalid-param", { what: "finished", problem: `status is one of ${FINISHED_STATUSES.join(", ")}` });
}

function exitCodeOf(body: Finished): number | null | undefined {
	const { exit_code: code } = body;
	if (code === undefined || code === null) return "exit_code" in body ? (code ?? null) : undefined;
	if (Number.isSafeInteger(code)) return code as number;
	throw refusal("invalid-param", { what: "finished", problem: "exit_code is a whole number or null" });
}

function diffOf({ diff_base64: text }: Finished, mostBytes: number): Uint8Array | null {
	if (text === undefined || text === null) return null;
	const problem = (what: string) => refusal("invalid-param", { what: "finished", problem: `diff_base64 ${what}` });
	if (typeof text !== "string" || text.length % 4 !== 0) throw problem("is not padded base64");
	if ((text.length / 4) * 3 > mostBytes + 2) throw problem(`has more than ${mostBytes} bytes`);
	const bytes = bytesFromBase64(text);
	if (bytes === undefined) throw problem("is not base64");
	if (bytes.length > mostBytes) throw problem(`has more than ${mostBytes} bytes`);
	return bytes;
}

/** Equal reports give equal hashes; when it was sent is no part of it. */
function resultHash(
	status: Status,
	exitCode: number | null | undefined,
	body: Finished,
	diff: Uint8Array | null,
): string {
	const sha256 = (bytes: string | Uint8Array) => createHash("sha256").update(bytes).digest("hex");
	const told: Json = {
		status,
		exit_code: exitCode ?? null,
		stdout_truncated: body.stdout_truncated === true,
		stderr_truncated: body.stderr_truncated === true,
		diff_truncated: body.diff_truncated === true,
		snapshot_before: body.snapshot_before ?? null,
		snapshot_after: body.snapshot_after ?? null,
		artifacts_manifest: body.artifacts_manifest ?? {},
		diff: diff === null ? null : { bytesize: diff.length, sha256: sha256(diff) },
	};
	return sha256(canonicalJson(told));
}

/** A node's clock is its own: what it says counts when it lies between the beginning and now. */
function timeTold(text: string | null | undefined, startedAt: number, nowMs: number): number {
	const told = Date.parse(text ?? "");
	return told >= startedAt && told <= nowMs ? told : nowMs;
}

/** Clocks differ; one that is that far ahead is wrong, or lies. */
const CLOCK_TOLERANCE_MS = 300_000;

async function noteOddClock(session: Session, directive: Directive, text: string | null | undefined): Promise<void> {
	const aheadMs = Date.parse(text ?? "") - session.nowMs;
	if (!(aheadMs > CLOCK_TOLERANCE_MS)) return;
	await noteEvent(session, {
		accountId: directive.account_id,
		type: "node.clock_refused",
		severity: "warn",
		territoryId: directive.territory_id,
		directiveId: directive.id,
		payload: { finished_at: text, ahead_ms: aheadMs },
	});
}
