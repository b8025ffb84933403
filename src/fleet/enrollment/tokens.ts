import { randomBytes } from "node:crypto";
import type { z } from "zod";
import type { enrollmentTokenSchema } from "../../api/people/schema.ts";
import { newId } from "../../core/index.ts";
import { personOf } from "../directives/create.ts";
import { tokenDigestOf } from "../http/authenticate.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { afterId, pageOfRows } from "../paging.ts";
import { jsonOf, jsonText, timeOf } from "../rows.ts";
import type { EnrollmentTokenRow } from "../store/tables.ts";

/** 32 random bytes, URL-safe and without padding (conduits section 3.4). */
export function newSecret(): string {
	return randomBytes(32).toString("base64url");
}

function shown(row: EnrollmentTokenRow): z.input<typeof enrollmentTokenSchema> {
	return {
		id: row.id,
		labels: jsonOf(row.labels),
		expires_at: timeOf(row.expires_at),
		used_at: timeOf(row.used_at),
		revoked_at: timeOf(row.revoked_at),
		created_at: timeOf(row.created_at),
	};
}

export const enrollmentTokenHandlers = {
	"enrollmentTokens.create": ({ identity, store }, { body }) =>
		store.transaction(async ({ db, nowMs }) => {
			const { accountId, userId } = personOf(identity);
			const token = newSecret();
			const row: EnrollmentTokenRow = {
				id: newId(nowMs),
				account_id: accountId,
				created_by_user_id: userId,
				token_digest: tokenDigestOf(token),
				labels: jsonText(body.labels),
				expires_at: nowMs + body.expires_in_seconds * 1000,
				used_at: null,
				revoked_at: null,
				created_at: nowMs,
			};
			await db.insertInto("enrollment_tokens").values(row).execute();
			return { status: 201, body: { ...shown(row), token } };
		}),
	"enrollmentTokens.list": ({ identity, store }, { query }) =>
		store.read(async ({ db, nowMs }) => {
			const after = afterId(query);
			const rows = await db
				.selectFrom("enrollment_tokens")
				.selectAll()
				.where("account_id", "=", personOf(identity).accountId)
				.$if(query.usable === true, (found) =>
					found.where("used_at", "is", null).where("revoked_at", "is", null).where("expires_at", ">", nowMs),
				)
				.$if(query.usable === false, (found) =>
					found.where((is) =>
						is.or([is("used_at", "is not", null), is("revoked_at", "is not", null), is("expires_at", "<=", nowMs)]),
					),
				)
				.$if(after !== undefined, (found) => found.where("id", "<", after ?? ""))
				.orderBy("id", "desc")
				.limit(query.limit + 1)
				.execute();
			const page = pageOfRows(rows, query, ({ id }) => id);
			return { status: 200, body: { enrollment_tokens: page.rows.map(shown), next_cursor: page.next_cursor } };
		}),
	"enrollmentTokens.revoke": ({ identity, store }, { path }) =>
		store.transaction(async ({ db, nowMs }) => {
			const id = path.enrollment_token_id;
			const row = await db
				.selectFrom("enrollment_tokens")
				.selectAll()
				.where("id", "=", id)
				.where("account_id", "=", personOf(identity).accountId)
				.executeTakeFirst();
			if (row === undefined) throw refusal("not-found", { kind: "enrollment token", id });
			const revoked_at = row.revoked_at ?? nowMs;
			await db.updateTable("enrollment_tokens").set({ revoked_at }).where("id", "=", id).execute();
			return { status: 200, body: shown({ ...row, revoked_at }) };
		}),
} as const satisfies Partial<Handlers>;
