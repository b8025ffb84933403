import type { z } from "zod";
import type { apiTokenSchema, Role } from "../../api/people/schema.ts";
import { newId } from "../../core/index.ts";
import { newSecret } from "../enrollment/tokens.ts";
import { tokenDigestOf } from "../http/authenticate.ts";
import { timeOf } from "../rows.ts";
import type { Session } from "../store/store.ts";
import type { ApiTokenRow } from "../store/tables.ts";

/** So that a leaked one is known for what it is, by people and by secret scanners. */
const TOKEN_PREFIX = "vouch_";

/** Whose it is and what it may do; `lifeSeconds` null is for ever. */
export interface TokenGrant {
	readonly accountId: string;
	readonly userId: string;
	readonly name: string;
	readonly role: Role;
	readonly lifeSeconds: number | null;
	/** One that `newApiToken` made before; by default a new one. */
	readonly token?: string;
}

export function newApiToken(): string {
	return `${TOKEN_PREFIX}${newSecret()}`;
}

/** Makes an API token. Its text is in this answer and nowhere else: the store has its digest. */
export async function issueApiToken(
	{ db, nowMs }: Pick<Session, "db" | "nowMs">,
	{ accountId, userId, name, role, lifeSeconds, token = newApiToken() }: TokenGrant,
): Promise<{ readonly row: ApiTokenRow; readonly token: string }> {
	const row: ApiTokenRow = {
		id: newId(nowMs),
		account_id: accountId,
		user_id: userId,
		name,
		token_digest: tokenDigestOf(token),
		role,
		expires_at: lifeSeconds === null ? null : nowMs + lifeSeconds * 1000,
		revoked_at: null,
		last_used_at: null,
		created_at: nowMs,
	};
	await db.insertInto("api_tokens").values(row).execute();
	return { row, token };
}

export function shownToken(row: ApiTokenRow): z.input<typeof apiTokenSchema> {
	return {
		id: row.id,
		user_id: row.user_id,
		name: row.name,
		role: row.role as Role,
		expires_at: timeOf(row.expires_at),
		revoked_at: timeOf(row.revoked_at),
		last_used_at: timeOf(row.last_used_at),
		created_at: timeOf(row.created_at),
	};
}
