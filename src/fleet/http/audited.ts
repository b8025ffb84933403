import type { Operation, OperationName } from "../../api/index.ts";
import { canonicalJson, type Json, newId } from "../../core/index.ts";
import type { Store } from "../store/store.ts";
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
	const id = await begin(store, `api.${name}`, identity, address);
	try {
		const result = await call(noting);
		await complete(store, id, "done", note);
		return result;
	} catch (error) {
		await complete(store, id, isRefusal(error) ? "refused" : "failed", note);
		throw error;
	}
}

interface Actor {
	readonly accountId: string;
	readonly userId: string;
}

function begin(store: Store, eventType: string, { accountId, userId }: Actor, address: string): Promise<string> {
	// One statement is a transaction by itself.
	return store.read(async ({ db, nowMs }) => {
		const id = newId<string>(nowMs);
		await db
			.insertInto("audit_events")
			.values({
				id,
				account_id: accountId,
				event_type: eventType,
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
			})
			.execute();
		return id;
	});
}

async function complete(
	store: Store,
	id: string,
	outcome: "done" | "refused" | "failed",
	note: AuditNote,
): Promise<void> {
	await store.read(({ db, nowMs }) =>
		db
			.updateTable("audit_events")
			.set({
				outcome,
				completed_at: nowMs,
				severity: note.severity ?? "info",
				payload: canonicalJson((note.payload ?? {}) as Json),
				...(note.directiveId === undefined ? {} : { directive_id: note.directiveId }),
				...(note.commandId === undefined ? {} : { command_id: note.commandId }),
				...(note.territoryId === undefined ? {} : { territory_id: note.territoryId }),
			})
			.where("id", "=", id)
			.execute(),
	);
}
