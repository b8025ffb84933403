import type { z } from "zod";
import type { Role, userSchema } from "../../api/people/schema.ts";
import { newId } from "../../core/index.ts";
import { personOf } from "../directives/create.ts";
import type { Handlers } from "../http/handlers.ts";
import { made } from "../http/idempotency.ts";
import { refusal } from "../http/refusal.ts";
import { afterId, pageOfRows } from "../paging.ts";
import { flagOf, timeOf } from "../rows.ts";
import type { Session } from "../store/store.ts";
import type { UserRow } from "../store/tables.ts";
import { issueApiToken, shownToken } from "./api-tokens.ts";

export function shownUser(row: UserRow): z.input<typeof userSchema> {
	return {
		id: row.id,
		name: row.name,
		email: row.email,
		role: row.role as Role,
		disabled: row.disabled === 1,
		created_at: timeOf(row.created_at),
	};
}

async function ownUser({ db }: Session, accountId: string, userId: string): Promise<UserRow> {
	const row = await db
		.selectFrom("users")
		.selectAll()
		.where("id", "=", userId)
		.where("account_id", "=", accountId)
		.executeTakeFirst();
	if (row === undefined) throw refusal("not-found", { kind: "user", id: userId });
	return row;
}

/** An account without an owner could never have one again. */
async function mustLeaveAnOwner({ db }: Session, accountId: string, what: string): Promise<void> {
	const owner = await db
		.selectFrom("users")
		.select("id")
		.where("account_id", "=", accountId)
		.where("role", "=", "owner")
		.where("disabled", "=", 0)
		.executeTakeFirst();
	if (owner === undefined) throw refusal("state-conflict", { what, reason: "the account must keep an owner" });
}

/** Only an owner gives another role than their own, but for the least one. */
function mayGive(own: Role, given: Role): boolean {
	return own === "owner" || own === given || given === "member";
}

export const accountHandlers = {
	"account.whoami": ({ identity, store }) =>
		store.read(async (session) => {
			const { accountId, userId, role } = personOf(identity);
			const user = await ownUser(session, accountId, userId);
			const account = await session.db
				.selectFrom("accounts")
				.select("name")
				.where("id", "=", accountId)
				.executeTakeFirstOrThrow();
			const body = { account_id: accountId, account_name: account.name, user: shownUser(user), role };
			return { status: 200, body };
		}),
	"users.list": ({ identity, store }, { query }) =>
		store.read(async ({ db }) => {
			const after = afterId(query);
			const rows = await db
				.selectFrom("users")
				.selectAll()
				.where("account_id", "=", personOf(identity).accountId)
				.$if(query.role !== undefined, (found) => found.where("role", "=", query.role ?? ""))
				.$if(query.email !== undefined, (found) => found.where("email", "=", query.email?.toLowerCase() ?? ""))
				.$if(query.disabled !== undefined, (found) => found.where("disabled", "=", flagOf(query.disabled)))
				.$if(after !== undefined, (found) => found.where("id", ">", after ?? ""))
				.orderBy("id")
				.limit(query.limit + 1)
				.execute();
			const page = pageOfRows(rows, query, ({ id }) => id);
			return { status: 200, body: { users: page.rows.map(shownUser), next_cursor: page.next_cursor } };
		}),
	"users.create": (context, { body }) =>
		made(context, "users.create", body, async ({ db, nowMs }) => {
			const { accountId } = personOf(context.identity);
			const email = body.email?.toLowerCase() ?? null;
			const taken = await db
				.selectFrom("users")
				.select("id")
				.where("account_id", "=", accountId)
				.where("email", "=", email)
				.executeTakeFirst();
			if (taken !== undefined)
				throw refusal("state-conflict", { what: "Adding a person", reason: `${email} is one already` });
			const stamps = { disabled: 0, oidc_subject: null, created_at: nowMs, updated_at: nowMs } as const;
			const person = { id: newId<string>(nowMs), account_id: accountId, name: body.name, email, role: body.role };
			const row: UserRow = { ...person, ...stamps };
			await db.insertInto("users").values(row).execute();
			context.note({ payload: { user_id: row.id, role: row.role } });
			return { status: 201, body: shownUser(row) };
		}),
	"users.change": ({ identity, store, note }, { path, body }) =>
		store.transaction(async (session) => {
			const { accountId } = personOf(identity);
			const { id } = await ownUser(session, accountId, path.user_id);
			const row = await session.db
				.updateTable("users")
				.set({
					...(body.name === undefined ? {} : { name: body.name }),
					...(body.role === undefined ? {} : { role: body.role }),
					...(body.disabled === undefined ? {} : { disabled: flagOf(body.disabled) }),
					updated_at: session.nowMs,
				})
				.where("id", "=", id)
				.returningAll()
				.executeTakeFirstOrThrow();
			await mustLeaveAnOwner(session, accountId, `Changing user ${id}`);
			note({ payload: { user_id: id, role: row.role, disabled: row.disabled === 1 } });
			return { status: 200, body: shownUser(row) };
		}),
	"tokens.list": ({ identity, store }, { query }) =>
		store.read(async ({ db, nowMs }) => {
			const { accountId, userId, role } = personOf(identity);
			const after = afterId(query);
			const rows = await db
				.selectFrom("api_tokens")
				.selectAll()
				.where("account_id", "=", accountId)
				.$if(role !== "owner", (found) => found.where("user_id", "=", userId))
				.$if(query.user_id !== undefined, (found) => found.where("user_id", "=", query.user_id ?? ""))
				.$if(query.usable === true, (found) =>
					found
						.where("revoked_at", "is", null)
						.where((is) => is.or([is("expires_at", "is", null), is("expires_at", ">", nowMs)])),
				)
				.$if(query.usable === false, (found) =>
					found.where((is) => is.or([is("revoked_at", "is not", null), is("expires_at", "<=", nowMs)])),
				)
				.$if(after !== undefined, (found) => found.where("id", "<", after ?? ""))
				.orderBy("id", "desc")
				.limit(query.limit + 1)
				.execute();
			const page = pageOfRows(rows, query, ({ id }) => id);
			return { status: 200, body: { tokens: page.rows.map(shownToken), next_cursor: page.next_cursor } };
		}),
	"tokens.create": ({ identity, store, note }, { body }) =>
		store.transaction(async (session) => {
			const { accountId, userId, role } = personOf(identity);
			const forWhom = await ownUser(session, accountId, body.user_id ?? userId);
			const given = body.role ?? role;
			const forbid = (reason: string) => refusal("forbidden", { what: "Making a token", reason });
			if (forWhom.id !== userId && role !== "owner") throw forbid("only an owner makes tokens for somebody else");
			if (!mayGive(role, given)) throw forbid(`the role ${role} can't give the role ${given}`);
			const grant = { accountId, userId: forWhom.id, name: body.name, role: given };
			const { row, token } = await issueApiToken(session, { ...grant, lifeSeconds: body.expires_in_seconds ?? null });
			note({ payload: { token_id: row.id, role: given } });
			return { status: 201, body: { ...shownToken(row), token } };
		}),
	"tokens.revoke": ({ identity, store, note }, { path }) =>
		store.transaction(async ({ db, nowMs }) => {
			const { accountId, userId, role } = personOf(identity);
			const row = await db
				.selectFrom("api_tokens")
				.selectAll()
				.where("id", "=", path.token_id)
				.where("account_id", "=", accountId)
				.executeTakeFirst();
			if (row === undefined || (row.user_id !== userId && role !== "owner"))
				throw refusal("not-found", { kind: "token", id: path.token_id });
			const revoked_at = row.revoked_at ?? nowMs;
			await db.updateTable("api_tokens").set({ revoked_at }).where("id", "=", row.id).execute();
			note({ payload: { token_id: row.id } });
			return { status: 200, body: shownToken({ ...row, revoked_at }) };
		}),
} as const satisfies Partial<Handlers>;
