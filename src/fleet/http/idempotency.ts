import { createHash } from "node:crypto";
import type { OperationName } from "../../api/index.ts";
import { jsonOf, jsonText } from "../rows.ts";
import { Overtaken, type Session } from "../store/store.ts";
import type { Context } from "./handlers.ts";
import { refusal } from "./refusal.ts";

/** An answer that may be given again. */
interface Given {
	readonly status: number;
	readonly body: unknown;
}

/**
 * Makes something once for an `Idempotency-Key`: the same request again gets the first answer, another request with that key is
 * refused. The key is kept by the transaction that makes the thing, so a crash leaves both or neither.
 */
export async function once<Answer extends Given>(
	session: Session,
	context: Context,
	operation: OperationName,
	request: unknown,
	make: () => Promise<Answer | Error>,
): Promise<Answer | Error> {
	const { identity, idempotencyKey: key } = context;
	if (key === null || identity.kind !== "person") return make();
	if (key.length > 255)
		throw refusal("validation-failed", { what: "The request", problems: "Idempotency-Key is too long" });
	const digest = createHash("sha256")
		.update(jsonText([operation, request]))
		.digest("hex");
	const known = await session.db
		.selectFrom("idempotency_keys")
		.selectAll()
		.where("account_id", "=", identity.accountId)
		.where("key", "=", key)
		.executeTakeFirst();
	if (known !== undefined) {
		if (known.request_digest !== digest) throw refusal("idempotency-conflict", { key });
		return { status: known.status, body: jsonOf(known.body) } as Answer;
	}
	const answer = await make();
	if (answer instanceof Error) return answer;
	const { numInsertedOrUpdatedRows } = await session.db
		.insertInto("idempotency_keys")
		.values({
			account_id: identity.accountId,
			key,
			operation,
			request_digest: digest,
			status: answer.status,
			body: jsonText(answer.body),
			created_at: session.nowMs,
		})
		.onConflict((conflict) => conflict.doNothing())
		.executeTakeFirst();
	// Two at once: the one that comes second begins anew, and finds the first one's answer.
	if (numInsertedOrUpdatedRows !== 1n) throw new Overtaken();
	return answer;
}

/** `once` in a transaction of its own, for what never returns a refusal. */
export async function made<Answer extends Given>(
	context: Context,
	operation: OperationName,
	request: unknown,
	make: (session: Session) => Promise<Answer>,
): Promise<Answer> {
	const answer = await context.store.transaction((session) =>
		once(session, context, operation, request, () => make(session)),
	);
	if (answer instanceof Error) throw answer;
	return answer;
}
