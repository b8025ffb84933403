import type { Operation, OperationName } from "../../api/index.ts";
import { canonicalJson, type Json, newId } from "../../core/index.ts";
import { insertEach, updateEach } from "../store/bulk.ts";
import { together } from "../store/together.ts";
import type { AuditNote, Context } from "./handlers.ts";
import { isRefusal } from "./refusal.ts";

/**
 * Runs an operation between its audit entry's beginning and end. An entry that stays `pending` says that the control plane died
 * meanwhile; one that can't be written stops the operation before it did anything.
 */
export async function auditedCall<Result>(
	name: OperationName,
	{ effect }: Operation,
	context: Omit<Context, "note">,
	call: (context: Context) => Promise<Result>,
): Promise<Result> {
	const note: { -readonly [Member in keyof AuditNote]: AuditNote[Member] } = {};
	const noting: Context = { ...context, note: (more) => Object.assign(note, more) };
	const { identity, store, address } = context;
	// What nodes report is noted in the transaction that believes it (`domain-events.ts`).
	if (effect === "read" || identity.kind !== "person") return call(noting);
	const id = await begin(store, { operation: name, accountId: identity.accountId, userId: identity.userId, address });
	try {
		const result = await call(noting);
		await complete(store, { id, outcome: "done", note });
		return result;
	} catch (error) {
		await complete(store, { id, outcome: isRefusal(error) ? "refused" : "failed", note });
		throw error;
	}
}

interface Begun {
	readonly operation: OperationName;
	readonly accountId: string;
	readonly userId: string;
	readonly address: string;
}

// One statement is a transaction by itself.
const begin = together("read", async (session, begun: readonly Begun[]) => {
	const { nowMs } = session;
	const rows = begun.map(({ operation, accountId, userId, address }) => ({
		id: newId<string>(nowMs),
		account_id: accountId,
		event_type: `api.${operation}`,
		severity: "info",
		actor_user_id: userId,
		territory_id: null,
		directive_id: null,
		command_id: null,
		payload: "{}",
		context: canonicalJson({ address }),
		outcome: "pending",
		created_at: nowMs,
		completed_at: null,
		journal_index: null,
	}));
	await insertEach(session, "audit_events", rows);
	return rows.map(({ id }) => id);
});

interface Completed {
	readonly id: string;
	readonly outcome: "done" | "refused" | "failed";
	readonly note: AuditNote;
}

const complete = together("read", async (session, completed: readonly Completed[]) => {
	const updates = completed.map(({ id, outcome, note }) => {
		const about = {
			directive_id: note.directiveId ?? null,
			command_id: note.commandId ?? null,
			territory_id: note.territoryId ?? null,
		};
		const { severity = "info", payload = {} } = note;
		const values = {
			...about,
			outcome,
			severity,
			payload: canonicalJson(payload as Json),
			completed_at: session.nowMs,
		};
		return { id, values };
	});
	await updateEach(session, "audit_events", updates);
	return completed.map(() => undefined);
});
