import type { DirectiveState } from "../directives/states.ts";
import { noteEvent } from "../domain-events.ts";
import { timeOf } from "../rows.ts";
import { OFFLINE_AFTER_MS } from "../services.ts";
import { change, type Directive, expired, lockDirective } from "../store/queue.ts";
import type { Session, Store } from "../store/store.ts";

const MOST_AT_ONCE = 200;

/**
 * Takes back directives whose territory fell silent, each in a transaction of its own. One that was never begun waits again; one that
 * ran is begun again only as often as whoever asked for it allowed, because half of it may have happened.
 */
export async function reapLeases(store: Store): Promise<number> {
	const ids = await store.read((session) => expired(session, MOST_AT_ONCE));
	let count = 0;
	for (const id of ids) {
		count += await store.transaction(async (session) => {
			const directive = await lockDirective(session, id);
			if (directive === undefined || !isSilent(directive, session.nowMs)) return 0;
			await takeBack(session, directive);
			return 1;
		});
	}
	return count;
}

function isSilent({ state, lease_expires_at }: Directive, nowMs: number): boolean {
	return (state === "leased" || state === "running") && (lease_expires_at ?? 0) < nowMs;
}

const FREED = { territory_id: null, lease_id: null, lease_expires_at: null, last_heartbeat_at: null };

async function takeBack(session: Session, directive: Directive): Promise<void> {
	const { id, account_id: accountId, territory_id, lease_expires_at } = directive;
	const wasRunning = (directive.state as DirectiveState) === "running";
	const isCanceled = directive.cancel_requested_at !== null;
	const mayRetry = wasRunning && directive.attempts < directive.max_attempts;
	const ended = { finished_at: session.nowMs, lease_expires_at: null };
	// What was never begun is nobody's any more: its holder's late beginning is refused.
	if (isCanceled) await change(session, directive, "cancel", wasRunning ? ended : { ...FREED, ...ended });
	else if (!wasRunning) await change(session, directive, "expire_lease", FREED);
	else if (mayRetry) await change(session, directive, "retry", { ...FREED, started_at: null });
	else await change(session, directive, "lose", { ...ended, end_reason: "territory_lost" });
	const expiredAt = timeOf(lease_expires_at);
	await noteEvent(session, {
		accountId,
		type: wasRunning ? "directive.lost" : "directive.lease_expired",
		severity: "warn",
		territoryId: territory_id,
		directiveId: id,
		payload: { territory_id, lease_expires_at: expiredAt, retried: mayRetry && !isCanceled, canceled: isCanceled },
	});
}

/** Territories that were not heard of for five minutes are offline (section 1.3). */
export async function markOffline(store: Store): Promise<number> {
	return store.transaction(async (session) => {
		const gone = await session.db
			.updateTable("territories")
			.set({ status: "offline", updated_at: session.nowMs })
			.where("status", "=", "online")
			.where("last_heartbeat_at", "<", session.nowMs - OFFLINE_AFTER_MS)
			.returning(["id", "account_id", "name"])
			.execute();
		for (const { id, account_id, name } of gone) {
			const about = { accountId: account_id, territoryId: id, severity: "warn" } as const;
			await noteEvent(session, { ...about, type: "territory.offline", payload: { territory_name: name } });
		}
		return gone.length;
	});
}
