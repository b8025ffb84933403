import type { Approval } from "../../governance/schema.ts";
import { keepAnswer } from "../approvals.ts";
import { noteEvent } from "../domain-events.ts";
import type { Context, Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import type { Resolution } from "../policies/resolve.ts";
import { jsonOf, jsonText, timeOf } from "../rows.ts";
import type { Services } from "../services.ts";
import { change, type Directive, lockDirective } from "../store/queue.ts";
import type { Session } from "../store/store.ts";
import { personOf } from "./create.ts";
import { decisionOf, signDecision } from "./decision.ts";
import { type DirectiveState, isTerminal } from "./states.ts";

type AnswerBody = Parameters<Handlers["directives.approve"]>[1]["body"];
/** By its id, below its facility or without. */
interface AnswerInput {
	readonly path: { readonly directive_id: string; readonly facility_id?: string };
	/** Of a no, without a time. */
	readonly body: AnswerBody;
}
type Approve = (context: Context, input: AnswerInput) => ReturnType<Handlers["directives.approve"]>;
type Reject = (context: Context, input: AnswerInput) => ReturnType<Handlers["directives.reject"]>;
type Cancel = Handlers["directives.cancel"];

/** A directive of the caller's account, locked. */
async function ownDirective(session: Session, { identity }: Context, path: AnswerInput["path"]): Promise<Directive> {
	const directive = await lockDirective(session, path.directive_id);
	const isInFacility = path.facility_id === undefined || path.facility_id === directive?.facility_id;
	if (directive?.account_id === personOf(identity).accountId && isInFacility) return directive;
	throw refusal("not-found", { kind: "directive", id: path.directive_id });
}

/**
 * Yes from one person to one workload digest (conduits sections 2.5.5 and 6.9). Nobody approves what they asked for; a directive
 * that needs several people waits for as many.
 */
export function approve(services: Services): Approve {
	return (context, { path, body }) =>
		context.store.transaction(async (session) => {
			const { userId } = personOf(context.identity);
			const directive = await ownDirective(session, context, path);
			context.note({ directiveId: directive.id });
			const what = `Approving ${directive.id}`;
			if (directive.requested_by_user_id === userId)
				throw refusal("forbidden", { what, reason: "you cannot approve own directives; somebody else must" });
			mustWait(directive, what);
			mustNameIt(directive, body, what);
			const before = await yesesTo(session, directive);
			if (!before.some(({ approver_user_id }) => approver_user_id === userId))
				await recordAnswer(session, directive, userId, "approved", body);
			const approvals = await yesesTo(session, directive);
			const missing = directive.approvals_needed - new Set(approvals.map((one) => one.approver_user_id)).size;
			if (missing <= 0) await admit(session, directive, approvals.map(approvalOf), userId, services);
			const state = missing > 0 ? "awaiting_approval" : "queued";
			const answer = { directive_id: directive.id, state, approved_by_user_id: userId } as const;
			return { status: 200, body: { ...answer, approvals_missing: Math.max(0, missing) } };
		});
}

async function admit(
	session: Session,
	directive: Directive,
	approvals: readonly Approval[],
	userId: string,
	services: Services,
): Promise<void> {
	const workload = jsonOf<never>(directive.workload);
	const snapshot = jsonOf<Resolution["snapshot"]>(directive.policy_snapshot ?? '{"policies_applied":[]}');
	const reasons = jsonOf<readonly string[]>(directive.approval_reasons);
	const judged = { verdict: "needs_approval", reasons, violations: [], approvalsNeeded: 0, effective: {}, snapshot };
	const decision = decisionOf(workload, { ...judged, verdict: "needs_approval" });
	await change(session, directive, "approve", {
		approved_by_user_id: userId,
		decision: jsonText(signDecision({ decision, approvals }, services.keys.signer())),
	});
	await noteEvent(session, {
		accountId: directive.account_id,
		type: "directive.approved",
		actorUserId: userId,
		directiveId: directive.id,
		payload: { approved_by_user_id: userId },
	});
}

/** Section 2.5.6; who asked for it may reject it. */
export function reject(): Reject {
	return (context, { path, body }) =>
		context.store.transaction(async (session) => {
			const { userId } = personOf(context.identity);
			const directive = await ownDirective(session, context, path);
			context.note({ directiveId: directive.id });
			mustWait(directive, `Rejecting ${directive.id}`);
			await recordAnswer(session, directive, userId, "rejected", body);
			await change(session, directive, "reject", { finished_at: session.nowMs, end_reason: "rejected" });
			await noteEvent(session, {
				accountId: directive.account_id,
				type: "directive.rejected",
				actorUserId: userId,
				directiveId: directive.id,
				payload: { rejected_by_user_id: userId },
			});
			return { status: 200, body: { directive_id: directive.id, state: "canceled" } };
		});
}

/** Nobody runs it: it ends here. Somebody does: they are asked, now and with each heartbeat's answer. */
export function cancel(): Cancel {
	return (context, { path }) =>
		context.store.transaction(async (session) => {
			const directive = await ownDirective(session, context, path);
			const state = directive.state as DirectiveState;
			const answer = { directive_id: directive.id, state, cancel_requested: false };
			context.note({ directiveId: directive.id });
			if (state === "canceled") return { status: 200, body: answer };
			if (isTerminal(state))
				throw refusal("state-conflict", { what: `Canceling ${directive.id}`, reason: `it has ended: ${state}` });
			if (state === "queued" || state === "awaiting_approval") {
				const { nowMs } = session;
				await change(session, directive, "cancel", { finished_at: nowMs, cancel_requested_at: nowMs });
				return { status: 200, body: { ...answer, state: "canceled" } };
			}
			await requestCancel(session, directive);
			return { status: 200, body: { ...answer, cancel_requested: true } };
		});
}

async function requestCancel(session: Session, { id, territory_id, cancel_requested_at }: Directive): Promise<void> {
	if (cancel_requested_at === null) {
		const values = { cancel_requested_at: session.nowMs };
		await session.db.updateTable("directives").set(values).where("id", "=", id).execute();
	}
	if (territory_id !== null) session.wake({ kind: "directive-cancel", territoryId: territory_id, directiveId: id });
}

function mustWait(directive: Directive, what: string): void {
	if (directive.state === "awaiting_approval") return;
	throw refusal("state-conflict", { what, reason: `it does not wait for approval: it is ${directive.state}` });
}

/** Whoever says what they looked at must have looked at this. */
function mustNameIt(directive: Directive, body: AnswerBody, what: string): void {
	const named = body?.workload_digest ?? directive.workload_digest;
	if (named === directive.workload_digest) return;
	throw refusal("state-conflict", { what, reason: `its workload is ${directive.workload_digest} and not ${named}` });
}

/** An answer is to one workload, and counts as long as it says. */
async function yesesTo({ db, nowMs }: Session, { id, workload_digest }: Directive) {
	return db
		.selectFrom("approvals")
		.selectAll()
		.where("directive_id", "=", id)
		.where("workload_digest", "=", workload_digest)
		.where("verdict", "=", "approved")
		.where((is) => is.or([is("expires_at", "is", null), is("expires_at", ">", nowMs)]))
		.orderBy("id")
		.execute();
}

function approvalOf(row: Awaited<ReturnType<typeof yesesTo>>[number]): Approval {
	return {
		schema: "vouch.approval/v1",
		workloadDigest: row.workload_digest as Approval["workloadDigest"],
		verdict: "approved",
		approver: row.approver_user_id,
		method: "api",
		time: timeOf(row.created_at),
	};
}

function recordAnswer(
	session: Session,
	{ id, account_id, workload_digest }: Directive,
	userId: string,
	verdict: "approved" | "rejected",
	body: AnswerBody,
): Promise<void> {
	const about = { accountId: account_id, directiveId: id, commandId: null, workloadDigest: workload_digest };
	const { reason, expires_in_seconds: validSeconds } = body ?? {};
	return keepAnswer(session, { ...about, verdict, userId, reason, validSeconds });
}
