import { isOneOf } from "../store/bulk.ts";
import { together } from "../store/together.ts";

/** What credentials name, as the store knows it now: those of many requests are looked up together. */

export const territoryById = together("read", async (session, ids: readonly string[]) => {
	const rows = await session.db
		.selectFrom("territories")
		.selectAll()
		.where(isOneOf(session, "id", ids))
		.execute();
	return ids.map((id) => rows.find((row) => row.id === id));
});

export const territoryByCertificate = together("read", async (session, fingerprints: readonly string[]) => {
	const rows = await session.db
		.selectFrom("certificates as c")
		.innerJoin("territories as t", "t.id", "c.territory_id")
		.selectAll("t")
		.select("c.fingerprint")
		.where(isOneOf(session, "c.fingerprint", fingerprints))
		.where("c.revoked_at", "is", null)
		.where("c.expires_at", ">", session.nowMs)
		.execute();
	return fingerprints.map((fingerprint) => rows.find((row) => row.fingerprint === fingerprint));
});

/** Who holds the directive, and by which lease. */
export const holderOf = together("read", async (session, ids: readonly string[]) => {
	const rows = await session.db
		.selectFrom("directives")
		.select(["id", "territory_id", "lease_id"])
		.where(isOneOf(session, "id", ids))
		.execute();
	return ids.map((id) => rows.find((row) => row.id === id));
});

export const userById = together("read", async (session, ids: readonly string[]) => {
	const rows = await session.db
		.selectFrom("users")
		.select(["id", "account_id", "role"])
		.where(isOneOf(session, "id", ids))
		.where("disabled", "=", 0)
		.execute();
	return ids.map((id) => rows.find((row) => row.id === id));
});

export const apiToken = together("read", async (session, digests: readonly string[]) => {
	const rows = await session.db
		.selectFrom("api_tokens as t")
		.innerJoin("users as u", "u.id", "t.user_id")
		.select(["t.id", "t.account_id", "t.user_id", "t.role", "t.last_used_at", "t.token_digest", "u.role as user_role"])
		// Found by its digest: how long that takes says nothing of the token.
		.where(isOneOf(session, "t.token_digest", digests))
		.where("t.revoked_at", "is", null)
		.where((is) => is.or([is("t.expires_at", "is", null), is("t.expires_at", ">", session.nowMs)]))
		.where("u.disabled", "=", 0)
		.execute();
	return digests.map((digest) => rows.find(({ token_digest }) => token_digest === digest));
});
