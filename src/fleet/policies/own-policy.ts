import { personOf } from "../directives/create.ts";
import type { Context } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import type { Session } from "../store/store.ts";
import type { PolicyRow } from "../store/tables.ts";

/** A policy of the caller's account. */
export async function ownPolicy({ db }: Session, { identity }: Context, id: string): Promise<PolicyRow> {
	const row = await db
		.selectFrom("policies")
		.selectAll()
		.where("id", "=", id)
		.where("account_id", "=", personOf(identity).accountId)
		.executeTakeFirst();
	if (row === undefined) throw refusal("not-found", { kind: "policy", id });
	return row;
}
