import { createHash } from "node:crypto";
import { FINISHED_STATUSES } from "../../api/conduits/schema.ts";
import { bytesFromBase64, canonicalJson, type Json } from "../../core/index.ts";
import { putAging } from "../blobs/aging.ts";
import { noteEvents } from "../domain-events.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { flagOf, jsonOf, jsonText } from "../rows.ts";
import { DEFAULT_DIFF_BYTES, type Services } from "../services.ts";
import { changeAll, type Directive } from "../store/queue.ts";
import type { Session, Store } from "../store/store.ts";
import { together } from "../store/together.ts";
import { type Holder, heldDirectives, holderOf } from "./held.ts";
import { oddClock, timeTold } from "./node-clock.ts";
import { begin } from "./started.ts";
import { type DirectiveEvent, type DirectiveState, isTerminal } from "./states.ts";

type Finished = Parameters<Handlers["nodes.finished"]>[1]["body"];

const EVENT_OF = {
	succeeded: "succeed",
	failed: "fail",
	canceled: "cancel",
	timed_out: "time_out",
} as const satisfies Record<(typeof FINISHED_STATUSES)[number], DirectiveEvent>;
type Status = keyof typeof EVENT_OF;

/** Section 2.3.8: the end, once. The same report again is a duplicate, another one is refused. */
export function finished(services: Services): Handlers["nodes.finished"] {
	const finishEach = together(
		"transaction",
		(session, reports: readonly Report[]) => finishAll(session, reports, services.settings.leaseMs),
		({ holder }) => holder.directiveId,
	);
	return async ({ identity, store }, { body }) => {
		const holder = holderOf(identity);
		const status = statusOf(body);
		const exitCode = exitCodeOf(body);
		const diff = await diffOf(body, store, holder);
		// Durable before the row that names it.
		const diffDigest = diff === null ? null : await putAging(store, services.blobs, diff);
		const hash = resultHash(status, exitCode, body, diff);
		return { status: 200, body: await finishEach(store, { holder, status, exitCode, body, diffDigest, hash }) };
	};
}

interface Report {
	readonly holder: Holder;
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

async function finishAll(session: Session, reports: readonly Report[], leaseMs: number) {
	const held = await heldDirectives(
		session,
		reports.map(({ holder }) => holder),
	);
	const leased = held.filter(({ state }) => state === "leased").map((directive) => ({ directive }));
	// Whoever reports the end alone has begun, too.
	const begun = new Map((await begin(session, leased, leaseMs)).map((directive) => [directive.id, directive]));
	const told = reports.map((report, at) => {
		const directive = held[at] as Directive;
		return { report, directive: begun.get(directive.id) ?? directive };
	});
	const open = told.filter(({ directive }) => !isTerminal(directive.state as DirectiveState));
	const ended = new Set((await end(session, open)).map(({ id }) => id));
	const answers = [];
	for (const { report, directive } of told) {
		const duplicate = !ended.has(directive.id);
		if (duplicate) await again(session, directive, report);
		const final_state = duplicate ? directive.state : report.status;
		answers.push({ ok: true, directive_id: directive.id, final_state, duplicate } as const);
	}
	return answers;
}

interface Told {
	readonly report: Report;
	readonly directive: Directive;
}

async function end(session: Session, told: readonly Told[]): Promise<readonly Directive[]> {
	const { nowMs } = session;
	const changes = told.map(({ report: { status, exitCode, body, diffDigest, hash }, directive }) => {
		if (directive.state !== "running") throw conflict(directive, `it is ${directive.state}`);
		if (directive.diff_digest !== null && diffDigest !== null && directive.diff_digest !== diffDigest)
			throw conflict(directive, "another diff is stored for it");
		const values = {
			finished_status: status,
			exit_code: exitCode === undefined ? directive.exit_code : exitCode,
			stdout_truncated: flagOf(directive.stdout_truncated || body.stdout_truncated),
			stderr_truncated: flagOf(directive.stderr_truncated || body.stderr_truncated),
			diff_truncated: flagOf(directive.diff_truncated || body.diff_truncated),
			snapshot_before: body.snapshot_before ?? directive.snapshot_before,
			snapshot_after: body.snapshot_after ?? directive.snapshot_after,
			artifacts_manifest: jsonText(body.artifacts_manifest ?? {}),
			diff_digest: directive.diff_digest ?? diffDigest,
			result_hash: hash,
			finished_at: timeTold(body.finished_at, directive.started_at ?? nowMs, nowMs),
		};
		return { directive, event: EVENT_OF[status], values };
	});
	const ended = await changeAll(session, changes);
	await noteEvents(session, [
		...told.flatMap(({ report, directive }) => oddClock(directive, { finished_at: report.body.finished_at }, nowMs)),
		...ended.map((directive) => ({
			...aboutOf(directive),
			type: "directive.finished",
			payload: {
				status: directive.finished_status,
				exit_code: directive.exit_code,
				total_duration_ms: nowMs - directive.created_at,
				territory_id: directive.territory_id,
			},
		})),
	]);
	return ended;
}

function aboutOf({ id, account_id, territory_id }: Directive) {
	return { accountId: account_id, territoryId: territory_id, directiveId: id };
}

async function again(session: Session, directive: Directive, { status, hash }: Report): Promise<void> {
	const sameStatus = (directive.finished_status ?? directive.state) === status;
	const sameHash = directive.result_hash === null || directive.result_hash === hash;
	if (!sameStatus || !sameHash) throw conflict(directive, "it has ended, and otherwise than this says");
	if (directive.result_hash === null)
		await session.db.updateTable("directives").set({ result_hash: hash }).where("id", "=", directive.id).execute();
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

async function diffOf(
	{ diff_base64: text }: Finished,
	store: Store,
	{ directiveId }: Holder,
): Promise<Uint8Array | null> {
	if (text === undefined || text === null) return null;
	const stored = await store.read(({ db }) =>
		db.selectFrom("directives").select("limits").where("id", "=", directiveId).executeTakeFirst(),
	);
	const most = jsonOf<{ max_diff_bytes?: number }>(stored?.limits ?? "{}").max_diff_bytes || DEFAULT_DIFF_BYTES;
	const problem = (what: string) => refusal("invalid-param", { what: "finished", problem: `diff_base64 ${what}` });
	if (typeof text !== "string" || text.length % 4 !== 0) throw problem("is not padded base64");
	if ((text.length / 4) * 3 > most + 2) throw problem(`has more than ${most} bytes`);
	const bytes = bytesFromBase64(text);
	if (bytes === undefined) throw problem("is not base64");
	if (bytes.length > most) throw problem(`has more than ${most} bytes`);
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
