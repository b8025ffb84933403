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

/** A request, and what makes its answer once. */
export interface Once<Request> {
	readonly context: Context;
	readonly request: Request;
}

/**
 * Makes something once for an `Idempotency-Key`: the same request again gets the first answer, another request with that key is
 * refused. The key is kept by the transaction that makes the thing, so a crash leaves both or neither. No two of these
 * requests have the same key.
 */
export async function onceEach<Request, Answer extends Given>(
	session: Session,
	operation: OperationName,
	asked: readonly Once<Request>[],
	make: (asked: readonly Once<Request>[]) => Promise<readonly (Answer | Error)[]>,
): Promise<readonly (Answer | Error)[]> {
	const keyed = asked.map((one) => keyOf(operation, one));
	const known = await answersTo(session, keyed);
	const made = await make(asked.filter((_, at) => known[at] === undefined));
	const answers = [...made];
	const given = known.map((answer) => answer ?? (answers.shift() as Answer | Error)) as readonly (Answer | Error)[];
	const rows = keyed.flatMap((key, at) => {
		const answer = given[at];
		if (key === undefined || known[at] !== undefined || answer === undefined || answer instanceof Error) return [];
		return [{ ...key, status: answer.status, body: jsonText(answer.body), created_at: session.nowMs }];
	});
	if (rows.length === 0) return given;
	const { numInsertedOrUpdatedRows } = await session.db
		.insertInto("idempotency_keys")
		.values(rows)
		.onConflict((conflict) => conflict.doNothing())
		.executeTakeFirst();
	// Two at once: the one that comes second begins anew, and finds the first one's answer.
	if (numInsertedOrUpdatedRows !== BigInt(rows.length)) throw new Overtaken();
	return given;
}

interface Key {
	readonly account_id: string;
	readonly key: string;
	readonly operation: string;
	readonly request_digest: string;
}

function keyOf(operation: OperationName, { context, request }: Once<unknown>): Key | undefined {
	const { identity, idempotencyKey: key } = context;
	if (key === null || identity.kind !== "person") return undefined;
	if (key.length > 255)
		throw refusal("validation-failed", { what: "The request", problems: "Idempotency-Key is too long" });
	const request_digest = createHash("sha256")
		.update(jsonText([operation, request]))
		.digest("hex");
	return { account_id: identity.accountId, key, operation, request_digest };
}

/** The answer that each key was given before, if any. */
async function answersTo(
	{ db }: Session,
	keyed: readonly (Key | undefined)[],
): Promise<readonly (Given | undefined)[]> {
	const keys = keyed.filter((key) => key !== undefined);
	if (keys.length === 0) return keyed.map(() => undefined);
	const rows = await db
		.selectFrom("idempotency_keys")
		.selectAll()
		.where((is) => is.or(keys.map(({ account_id, key }) => is.and({ account_id, key }))))
		.execute();
	return keyed.map((asked) => {
		const known = rows.find(({ account_id, key }) => account_id === asked?.account_id && key === asked.key);
		if (known === undefined || asked === undefined) return undefined;
		if (known.request_digest !== asked.request_digest) throw refusal("idempotency-conflict", { key: asked.key });
		return { status: known.status, body: jsonOf(known.body) };
	});
}

/** `onceEach` for one request. */
export async function once<Answer extends Given>(
	session: Session,
	context: Context,
	operation: OperationName,
	request: unknown,
	make: () => Promise<Answer | Error>,
): Promise<Answer | Error> {
	const [answer] = await onceEach<unknown, Answer>(session, operation, [{ context, request }], (asked) =>
		Promise.all(asked.map(make)),
	);
	return answer as Answer | Error;
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
