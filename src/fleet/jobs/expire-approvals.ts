import { sql } from "kysely";
import { noteEvent } from "../domain-events.ts";
import { timeOf } from "../rows.ts";
import type { Services } from "../services.ts";
import { change, lockDirective } from "../store/queue.ts";
import type { Session, Store } from "../store/store.ts";

const MOST_AT_ONCE = 200;

interface Lapse {
	readonly reason: "unanswered" | "approval_expired";
	readonly event: string;
	/** Identifiers of directives that it happened to. */
	readonly found: typeof unanswered | typeof unapproved;
}

const LAPSES: readonly Lapse[] = [
	{ reason: "unanswered", event: "directive.approval_unanswered", found: unanswered },
	{ reason: "approval_expired", event: "directive.approval_expired", found: unapproved },
];

/** Cancels what nobody answered for so long, and what still waits for its run when the yeses to it count no more. */
export async function expireApprovals(store: Store, { settings }: Pick<Services, "settings">): Promise<void> {
	for (const lapse of LAPSES) {
		const lapsed = (session: Session) => lapse.found(session, settings.approvalWaitMs);
		const ids = await store.read((session) => lapsed(session).limit(MOST_AT_ONCE).execute());
		for (const { id } of ids)
			await store.transaction(async (session) => {
				const directive = await lockDirective(session, id);
				const isStill = await lapsed(session).where("d.id", "=", id).executeTakeFirst();
				if (directive === undefined || isStill === undefined) return;
				await change(session, directive, "cancel", { finished_at: session.nowMs, end_reason: lapse.reason });
				const { account_id: accountId, workload_digest, created_at } = directive;
				const payload = { workload_digest, created_at: timeOf(created_at) };
				await noteEvent(session, { accountId, type: lapse.event, severity: "warn", directiveId: id, payload });
			});
	}
}

function unanswered({ db, nowMs }: Session, waitMs: number) {
	return (
		db
			.selectFrom("directives as d")
			.select("d.id")
			// As the index `directives_unanswered` has it.
			.where("d.state", "=", sql.lit("awaiting_approval"))
			.where("d.created_at", "<", nowMs - waitMs)
			.orderBy("d.created_at")
	);
}

/** What was agreed to yesterday is not run next month. */
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
