import type { z } from "zod";
import type { commandSchema } from "../../api/people/schema.ts";
import { digestOfJson, type Json, newId } from "../../core/index.ts";
import { keepAnswer, type PersonsAnswer } from "../approvals.ts";
import { personOf } from "../directives/create.ts";
import { noteEvent } from "../domain-events.ts";
import type { Context, Handlers } from "../http/handlers.ts";
import { once } from "../http/idempotency.ts";
import { refusal } from "../http/refusal.ts";
import { afterId, pageOfRows } from "../paging.ts";
import { jsonOf, jsonText, textOf, timeOf } from "../rows.ts";
import type { Services } from "../services.ts";
import type { Session } from "../store/store.ts";
import type { CommandRow } from "../store/tables.ts";
import { changeCommand, type DispatchedVia, dispatch, judgeCommand, lockCommand } from "./dispatch.ts";
import { findTarget, offers } from "./target.ts";

type Create = Handlers["commands.create"];
type Created = Awaited<ReturnType<Create>>;
type Request = Parameters<Create>[1]["body"];

const LONGEST_SECONDS = 300;

function shown(row: CommandRow): z.input<typeof commandSchema> {
	return {
		id: row.id,
		state: row.state as "queued",
		capability: row.capability,
		params: jsonOf(row.params),
		territory_id: row.territory_id,
		bridge_entity_id: row.bridge_entity_id,
		approval_reasons: jsonOf(row.approval_reasons),
		created_at: timeOf(row.created_at),
		dispatched_at: timeOf(row.dispatched_at),
		completed_at: timeOf(row.completed_at),
		result: jsonOf(row.result),
		error_message: row.error_message,
		has_attachment: row.attachment_digest !== null,
	};
}

async function ownCommand(session: Session, { identity }: Context, id: string): Promise<CommandRow> {
	const row = await lockCommand(session, id);
	if (row?.account_id === personOf(identity).accountId) return row;
	throw refusal("not-found", { kind: "command", id });
}

const create: Create = async (context, { body }) => {
	const answer = await context.store.transaction((session) =>
		once(session, context, "commands.create", body, () => judgeAndStore(session, context, body)),
	);
	// Thrown here, so that what the transaction noted of a refusal stays.
	if (answer instanceof Error) throw answer;
	context.note({ commandId: answer.body.command_id });
	return answer;
};

/** Conduits section 2.5.8: target, gate, then dispatched, waiting for approval, or refused. */
async function judgeAndStore(session: Session, { identity }: Context, body: Request): Promise<Created | Error> {
	const { accountId, userId } = personOf(identity);
	const capability = textOf(body.capability);
	if (capability === null) return refusal("missing-parameter", { what: "A command", parameter: "capability" });
	const target = await findTarget(session, accountId, capability, body.target);
	if (target.kind === "unknown") return refusal("not-found", { kind: target.what, id: target.id });
	if (target.kind === "none") return refusal("no-target", { capability });
	const { territory, entity } = target;
	if (!offers(entity?.capabilities ?? territory.capabilities, capability)) {
		const problem = `capability: ${entity?.entity_ref ?? territory.name} does not offer ${capability}`;
		return refusal("validation-failed", { what: "The command", problems: problem }, { details: [problem] });
	}
	const gate = await judgeCommand(session, accountId, capability);
	const { verdict, reason, policyIds } = gate;
	const about = { accountId, actorUserId: userId, territoryId: territory.id };
	const judged = { capability, reason, policies_applied: policyIds };
	if (verdict === "denied") {
		await noteEvent(session, { ...about, type: "command.policy_denied", severity: "warn", payload: judged });
		return refusal("policy-denied", { reason }, { reason, policies_applied: [...policyIds] });
	}
	const needsApproval = verdict === "needs_approval";
	const row = {
		...newCommand(session, body, capability),
		account_id: accountId,
		territory_id: territory.id,
		bridge_entity_id: entity?.id ?? null,
		requested_by_user_id: userId,
		state: needsApproval ? "awaiting_approval" : "queued",
		approval_reasons: jsonText(needsApproval ? [reason] : []),
		policy_snapshot: gate.snapshot,
	};
	await session.db.insertInto("commands").values(row).execute();
	const allowed = { capability, territory_id: territory.id, bridge_entity_id: row.bridge_entity_id, verdict };
	const event = needsApproval
		? { type: "command.awaiting_approval", payload: judged }
		: { type: "command.created", payload: allowed };
	await noteEvent(session, { ...about, ...event, commandId: row.id });
	if (needsApproval) return answerOf(row, null);
	const sent = await dispatch(session, row);
	return answerOf(sent.command, sent.via);
}

function answerOf(command: CommandRow, via: DispatchedVia | null): Created {
	const created_at = timeOf(command.created_at);
	const { id: command_id } = command;
	if (via !== null)
		return { status: 201, body: { command_id, state: command.state as "queued", dispatched_via: via, created_at } };
	const approval_reasons = jsonOf<string[]>(command.approval_reasons);
	return { status: 202, body: { command_id, state: "awaiting_approval", approval_reasons, created_at } };
}

function newCommand({ nowMs }: Session, body: Request, capability: string) {
	const seconds = Number.isFinite(body.timeout_seconds) ? Math.trunc(body.timeout_seconds) : 30;
	return {
		id: newId<string>(nowMs),
		approved_by_user_id: null,
		capability,
		params: jsonText(body.params),
		result: "{}",
		error_message: null,
		timeout_seconds: Math.min(Math.max(seconds, 1), LONGEST_SECONDS),
		result_hash: null,
		attachment_digest: null,
		attachment_filename: null,
		attachment_content_type: null,
		dispatched_at: null,
		completed_at: null,
		created_at: nowMs,
		updated_at: nowMs,
	};
}

function mustWait(command: CommandRow, what: string): void {
	if (command.state === "awaiting_approval") return;
	throw refusal("state-conflict", { what, reason: `it does not wait for approval: it is ${command.state}` });
}

/** What a person says yes or no to: what would be asked of which device. */
function keepAnswerTo(
	session: Session,
	{ id, account_id, capability, params, territory_id, bridge_entity_id, timeout_seconds }: CommandRow,
	answer: Pick<PersonsAnswer, "verdict" | "userId" | "reason">,
): Promise<void> {
	const asked = { capability, params: jsonOf<Json>(params), territory_id, bridge_entity_id };
	const about = { accountId: account_id, directiveId: null, commandId: id, workloadDigest: digestOfJson(asked) };
	return keepAnswer(session, { ...about, ...answer, validSeconds: timeout_seconds });
}

const approve: Handlers["commands.approve"] = (context, { path, body }) =>
	context.store.transaction(async (session) => {
		const { accountId, userId } = personOf(context.identity);
		const command = await ownCommand(session, context, path.command_id);
		const what = `Approving command ${command.id}`;
		if (command.requested_by_user_id === userId)
			throw refusal("forbidden", { what, reason: "you cannot approve own commands; somebody else must" });
		mustWait(command, what);
		await keepAnswerTo(session, command, { verdict: "approved", userId, reason: body?.reason });
		const approved = await changeCommand(session, command, "approve", { approved_by_user_id: userId });
		const about = { accountId, actorUserId: userId, commandId: command.id };
		const payload = { approved_by_user_id: userId };
		await noteEvent(session, { ...about, type: "command.approved", payload });
		const sent = await dispatch(session, approved);
		context.note({ commandId: command.id });
		const { id: command_id, state } = sent.command;
		return { status: 200, body: { command_id, state: state as "queued", dispatched_via: sent.via } };
	});

const reject: Handlers["commands.reject"] = (context, { path, body }) =>
	context.store.transaction(async (session) => {
		const { accountId, userId } = personOf(context.identity);
		const command = await ownCommand(session, context, path.command_id);
		mustWait(command, `Rejecting command ${command.id}`);
		await keepAnswerTo(session, command, { verdict: "rejected", userId, reason: body?.reason });
		await changeCommand(session, command, "reject");
		const about = { accountId, actorUserId: userId, commandId: command.id };
		const payload = { rejected_by_user_id: userId };
		await noteEvent(session, { ...about, type: "command.rejected", payload });
		context.note({ commandId: command.id });
		return { status: 200, body: { command_id: command.id, state: "canceled" } };
	});

export function commandHandlers({ blobs }: Services) {
	return {
		"commands.create": create,
		"commands.approve": approve,
		"commands.reject": reject,
		"commands.list": ({ identity, store }, { query }) =>
			store.read(async ({ db }) => {
				const after = afterId(query);
				const rows = await db
					.selectFrom("commands")
					.selectAll()
					.where("account_id", "=", personOf(identity).accountId)
					.$if(query.state !== undefined, (found) => found.where("state", "=", query.state ?? ""))
					.$if(query.territory_id !== undefined, (found) => found.where("territory_id", "=", query.territory_id ?? ""))
					.$if(after !== undefined, (found) => found.where("id", "<", after ?? ""))
					.orderBy("id", "desc")
					.limit(query.limit + 1)
					.execute();
				const page = pageOfRows(rows, query, ({ id }) => id);
				return { status: 200, body: { commands: page.rows.map(shown), next_cursor: page.next_cursor } };
			}),
		"commands.show": (context, { path }) =>
			context.store.transaction(async (session) => {
				return { status: 200, body: shown(await ownCommand(session, context, path.command_id)) };
			}),
		"commands.attachment": async (context, { path }) => {
			const command = await context.store.transaction((session) => ownCommand(session, context, path.command_id));
			const blob = command.attachment_digest === null ? undefined : await blobs.open(command.attachment_digest);
			if (blob === undefined) throw refusal("not-found", { kind: "attachment of command", id: path.command_id });
			const name = (command.attachment_filename ?? "result").replace(/[^\w.-]/g, "_");
			const headers = { "content-disposition": `attachment; filename="${name}"`, "x-content-type-options": "nosniff" };
			// Whatever a device calls it, no browser shall run it.
			return { status: 200, contentType: "application/octet-stream", headers, stream: blob.stream };
		},
	} as const satisfies Partial<Handlers>;
}
