import { createHash } from "node:crypto";
import { sql } from "kysely";
import { bytesFromBase64, canonicalJson, type Json } from "../../core/index.ts";
import { territoryOf } from "../directives/poll.ts";
import { noteEvent } from "../domain-events.ts";
import type { Context, Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { jsonOf, jsonText, timeOf } from "../rows.ts";
import type { Services } from "../services.ts";
import type { Session } from "../store/store.ts";
import type { CommandRow } from "../store/tables.ts";
import { changeCommand, lockCommand } from "./dispatch.ts";
import { afterCommandEvent, type CommandState, isEnded } from "./states.ts";

type ResultBody = Parameters<Handlers["nodes.commandResult"]>[1]["body"];

const MOST_PENDING = 20;
const MOST_ATTACHMENT_BYTES = 10 * 1024 * 1024;

/** A command of this territory, locked; a foreign one is unknown (conduits section 2.4). */
async function itsCommand(session: Session, { identity }: Context, id: string): Promise<CommandRow> {
	const row = await lockCommand(session, id);
	if (row?.territory_id === territoryOf(identity).id) return row;
	throw refusal("not-found", { kind: "command", id });
}

const pending: Handlers["nodes.pendingCommands"] = ({ identity, store }, { query }) =>
	store.transaction(async (session) => {
		const { id } = territoryOf(identity);
		const most = Math.min(Math.max(Math.trunc(query.max) || 1, 1), MOST_PENDING);
		const waiting = session.db
			.selectFrom("commands")
			.selectAll()
			.where("territory_id", "=", id)
			.where("state", "=", sql.lit("queued"))
			.orderBy("id")
			.limit(most);
		const rows = await (session.kind === "postgres" ? waiting.forUpdate().skipLocked() : waiting).execute();
		const commands = [];
		for (const row of rows) {
			const sent = await changeCommand(session, row, "dispatch", { dispatched_at: session.nowMs });
			commands.push(await forTerritory(session, sent));
		}
		return { status: 200, body: { commands, retry_after_seconds: commands.length === 0 ? 5 : 2 } };
	});

/** A command as its territory is told of it, by REST and by WebSocket. */
export async function forTerritory({ db }: Session, command: CommandRow) {
	const entity =
		command.bridge_entity_id === null
			? undefined
			: await db
					.selectFrom("bridge_entities")
					.select("entity_ref")
					.where("id", "=", command.bridge_entity_id)
					.executeTakeFirst();
	return {
		command_id: command.id,
		capability: command.capability,
		params: jsonOf<Record<string, never>>(command.params),
		bridge_entity_ref: entity?.entity_ref ?? null,
		timeout_seconds: command.timeout_seconds,
		created_at: timeOf(command.created_at),
	};
}

export interface CommandReport {
	readonly status: "completed" | "failed";
	readonly result: { readonly [member: string]: Json | undefined };
	readonly errorMessage: string | null;
	readonly attachment: { readonly digest: string; readonly filename: string; readonly contentType: string } | null;
	readonly hash: string;
}

/**
 * Reads a result; throws refusals. The attachment is no part of the hash: a retry without it is a duplicate. One that is not base64
 * is refused where the node is answered; by WebSocket it is not, and the result is worth more than the file (section 4.6).
 */
export async function readReport(
	body: ResultBody,
	{ blobs }: Services,
	oddAttachment: "refused" | "left-out",
): Promise<CommandReport> {
	const problem = (text: string) => refusal("invalid-param", { what: "A command's result", problem: text });
	const { status, attachment_base64: text } = body;
	if (status !== "completed" && status !== "failed") throw problem("status is completed or failed");
	const result = (body.result ?? {}) as { readonly [member: string]: Json | undefined };
	const errorMessage = body.error_message ?? null;
	const told: Json = { status, result, error_message: errorMessage };
	const hash = createHash("sha256").update(canonicalJson(told)).digest("hex");
	if (text === null || text === undefined) return { status, result, errorMessage, attachment: null, hash };
	if (text.length > (MOST_ATTACHMENT_BYTES / 3) * 4 + 4) throw problem("the attachment has more than 10 MiB");
	const bytes = bytesFromBase64(text);
	if (bytes === undefined && oddAttachment === "left-out")
		return { status, result, errorMessage, attachment: null, hash };
	if (bytes === undefined) throw problem("attachment_base64 is not base64");
	const attachment = {
		digest: await blobs.put(bytes),
		filename: body.attachment_filename ?? "result",
		contentType: body.attachment_content_type ?? "application/octet-stream",
	};
	return { status, result, errorMessage, attachment, hash };
}

/** Stores a result for a locked command that has not ended. Undefined when it can't end so from where it is. */
export async function storeReport(
	session: Session,
	command: CommandRow,
	{ status, result, errorMessage, attachment, hash }: CommandReport,
	via: "rest" | "websocket",
): Promise<CommandRow | undefined> {
	const event = status === "completed" ? "complete" : "fail";
	if (afterCommandEvent(command.state as CommandState, event) === undefined) return undefined;
	const attached = attachment && {
		attachment_digest: attachment.digest,
		attachment_filename: attachment.filename,
		attachment_content_type: attachment.contentType,
	};
	const ended = await changeCommand(session, command, event, {
		result: jsonText(result),
		error_message: errorMessage,
		result_hash: hash,
		...attached,
	});
	const { id, capability, territory_id, account_id: accountId } = command;
	const about = { accountId, territoryId: territory_id, commandId: id };
	const payload = { command_id: id, capability, territory_id, via };
	await noteEvent(session, { ...about, type: `command.${status}`, payload });
	return ended;
}

export function nodeCommandHandlers(services: Services) {
	return {
		"nodes.pendingCommands": pending,
		"nodes.commandResult": async (context, { path, body }) => {
			const report = await readReport(body, services, "refused");
			return context.store.transaction(async (session) => {
				const command = await itsCommand(session, context, path.command_id);
				const answer = { ok: true, command_id: command.id } as const;
				const conflict = (reason: string) => refusal("invalid-state", { what: `The result of ${command.id}`, reason });
				if (isEnded(command.state as CommandState)) {
					if (command.result_hash !== null && command.result_hash !== report.hash)
						throw conflict("another result is stored for it");
					return { status: 200, body: { ...answer, final_state: command.state, duplicate: true } };
				}
				const ended = await storeReport(session, command, report, "rest");
				if (ended === undefined) throw conflict(`it is ${command.state}`);
				return { status: 200, body: { ...answer, final_state: ended.state } };
			});
		},
		"nodes.cancelCommand": (context, { path }) =>
			context.store.transaction(async (session) => {
				const command = await itsCommand(session, context, path.command_id);
				const answer = { ok: true, command_id: command.id } as const;
				if (isEnded(command.state as CommandState))
					return { status: 200, body: { ...answer, final_state: command.state, already_terminal: true } };
				if (command.state === "awaiting_approval")
					throw refusal("forbidden", { what: `Canceling ${command.id}`, reason: "it waits for a person's approval" });
				const { state, capability, territory_id } = await changeCommand(session, command, "cancel");
				const about = { accountId: command.account_id, territoryId: territory_id, commandId: command.id };
				const payload = { command_id: command.id, capability };
				await noteEvent(session, { ...about, type: "command.canceled", payload });
				return { status: 200, body: { ...answer, final_state: state } };
			}),
	} as const satisfies Partial<Handlers>;
}
