import { newId } from "../core/index.ts";
import { jsonText } from "./rows.ts";
import { insertEach } from "./store/bulk.ts";
import type { Session } from "./store/store.ts";

export interface DomainEvent {
	readonly accountId: string;
	readonly type: string;
	readonly severity?: "info" | "warn" | "critical";
	readonly actorUserId?: string | null;
	readonly territoryId?: string | null;
	readonly directiveId?: string | null;
	readonly commandId?: string | null;
	readonly payload?: Readonly<Record<string, unknown>>;
}

/**
 * Notes what happened in the same transaction as it happens: it is there exactly when the change is. What people ask for has,
 * beside it, the entry that is written before and completed after (`http/audited.ts`).
 */
export function noteEvent(session: Session, event: DomainEvent): Promise<void> {
	return noteEvents(session, [event]);
}

export async function noteEvents(session: Session, events: readonly DomainEvent[]): Promise<void> {
	const { nowMs } = session;
	const rows = events.map((event) => ({
		id: newId<string>(nowMs),
		account_id: event.accountId,
		event_type: event.type,
		severity: event.severity ?? "info",
		actor_user_id: event.actorUserId ?? null,
		territory_id: event.territoryId ?? null,
		directive_id: event.directiveId ?? null,
		command_id: event.commandId ?? null,
		payload: jsonText(event.payload ?? {}),
		context: "{}",
		outcome: "done",
		created_at: nowMs,
		completed_at: nowMs,
		journal_index: null,
	}));
	await insertEach(session, "audit_events", rows);
}
