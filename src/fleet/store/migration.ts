import { type Kysely, sql } from "kysely";
import { first } from "./migrations/0001-first.ts";
import { journal } from "./migrations/0002-journal.ts";
import { needsWorkload } from "./migrations/0003-needs-workload.ts";
import { artifacts } from "./migrations/0004-artifacts.ts";
import { aging } from "./migrations/0005-aging.ts";
import { endReason } from "./migrations/0006-end-reason.ts";
import type { Tables } from "./tables.ts";

/** What differs between the two databases in a column's type. */
export interface ColumnTypes {
	readonly bytes: "blob" | "bytea";
}

/**
 * One step forward; there is none back. Two versions of the program run side by side while a fleet is upgraded, so a step adds
 * and relaxes; what the version before still reads or writes is removed by a later step (expand, then contract).
 */
export interface Migration {
	readonly version: number;
	readonly name: string;
	statements(types: ColumnTypes): readonly string[];
}

export const MIGRATIONS: readonly Migration[] = [first, journal, needsWorkload, artifacts, aging, endReason];

/** Number of a PostgreSQL advisory lock: "vouch" in ASCII. Only one control plane migrates. */
const MIGRATION_LOCK = 0x766f756368;

/** Brings a database to this program's version, all of it or nothing; newer databases are left as they are. Answers the version. */
export async function migrate(
	db: Kysely<Tables>,
	kind: "sqlite" | "postgres",
	nowMs: number,
	steps: readonly Migration[] = MIGRATIONS,
): Promise<number> {
	const types: ColumnTypes = { bytes: kind === "sqlite" ? "blob" : "bytea" };
	return db.transaction().execute(async (tx) => {
		if (kind === "postgres") await sql`select pg_advisory_xact_lock(${sql.lit(MIGRATION_LOCK)})`.execute(tx);
		await sql`create table if not exists schema_versions (version bigint primary key, name text not null,
			applied_at bigint not null)`.execute(tx);
		const last = await tx.selectFrom("schema_versions").select("version").orderBy("version", "desc").executeTakeFirst();
		const current = last?.version ?? 0;
		for (const { version, name, statements } of steps.filter((step) => step.version > current)) {
			for (const statement of statements(types)) await sql.raw(statement).execute(tx);
			await tx.insertInto("schema_versions").values({ version, name, applied_at: nowMs }).execute();
		}
		return Math.max(current, steps.at(-1)?.version ?? 0);
	});
}
