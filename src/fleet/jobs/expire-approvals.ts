import { sql } from "kysely";
import { noteEvent } from "../domain-events.ts";
import { change, lockDirective } from "../store/queue.ts";
import type { Session, Store } from "../store/store.ts";

const MOST_AT_ONCE = 200;

/** Cancels what still waits for its run when the yeses to it count no more: what was agreed to yesterday is not run next month. */
export async function expireApprovals(store: Store): Promise<number> {
	const found = await store.read((session) => unapproved(session).limit(MOST_AT_ONCE).execute());
	let count = 0;
	for (const { id } of found) {
		count += await store.transaction(async (session) => {
			const directive = await lockDirective(session, id);
			const isStill = await unapproved(session).where("d.id", "=", id).executeTakeFirst();
			if (directive === undefined || isStill === undefined) return 0;
			await change(session, directive, "cancel", { finished_at: session.nowMs });
			await noteEvent(session, {
				accountId: directive.account_id,
				type: "directive.approval_expired",
				severity: "warn",
				directiveId: id,
				payload: { workload_digest: directive.workload_digest },
			});
			return 1;
		});
	}
	return count;
}

function unapproved({ db, nowMs }: Session) {
	return (
		db
			.selectFrom("directives as d")
			.select("d.id")
			// As the index `directives_waiting` has it.
			.where("d.state", "=", sql.lit("queued"))
			.where("d.approved_by_user_id", "is not", null)
			.where(({ not, exists, selectFrom }) =>
				not(
					exists(
						selectFrom("approvals as a")
							.select("a.id")
							.whereRef("a.directive_id", "=", "d.id")
							.where("a.verdict", "=", "approved")
							.where((is) => is.or([is("a.expires_at", "is", null), is("a.expires_at", ">", nowMs)])),
					),
				),
			)
			.orderBy("d.id")
	);
}
