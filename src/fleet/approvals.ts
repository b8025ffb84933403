import { newId } from "../core/index.ts";
import type { Session } from "./store/store.ts";

/** A yes counts so long, unless who says it says otherwise. */
const VALID_MS = 24 * 3_600_000;

export interface PersonsAnswer {
	readonly accountId: string;
	readonly directiveId: string | null;
	readonly commandId: string | null;
	/** Of what was looked at. */
	readonly workloadDigest: string;
	readonly verdict: "approved" | "rejected";
	readonly userId: string;
	readonly reason: string | null | undefined;
	readonly validSeconds?: number | null | undefined;
}

/** Keeps who said yes or no to what, why, and until when a yes counts. */
export async function keepAnswer({ db, nowMs }: Session, answer: PersonsAnswer): Promise<void> {
	const { validSeconds } = answer;
	const validMs = typeof validSeconds === "number" ? validSeconds * 1000 : VALID_MS;
	await db
		.insertInto("approvals")
		.values({
			id: newId(nowMs),
			account_id: answer.accountId,
			directive_id: answer.directiveId,
			command_id: answer.commandId,
			workload_digest: answer.workloadDigest,
			verdict: answer.verdict,
			approver_user_id: answer.userId,
			reason: answer.reason ?? null,
			expires_at: answer.verdict === "approved" ? nowMs + validMs : null,
			created_at: nowMs,
		})
		.execute();
}
