import { sql } from "kysely";
import type { Session, Store } from "./store.ts";
import type { Tables } from "./tables.ts";

/** Every table, those that others refer to before them. A new one is named here, or its rows are in no backup of PostgreSQL. */
export const TABLES = [
	"accounts",
	"users",
	"api_tokens",
	"territories",
	"certificates",
	"channels",
	"bridge_entities",
	"enrollment_tokens",
	"facilities",
	"directives",
	"log_chunks",
	"artifacts",
	"artifact_pieces",
	"policies",
	"policy_versions",
	"commands",
	"approvals",
	"audit_events",
	"blobs",
	"idempotency_keys",
	"journal_heads",
	"journal_entries",
	"journal_hashes",
] as const satisfies readonly (keyof Tables)[];

const ROWS_AT_ONCE = 200;

/** Copies every row of one store into another that has none: one moment of it, whole or not at all. */
export async function copyRows(from: Store, to: Store): Promise<void> {
	await from.transaction(async (source) => {
		if (source.kind === "postgres") await sql`set transaction isolation level repeatable read`.execute(source.db);
		await to.transaction(async (target) => {
			// A fresh journal's empty head.
			await target.db.deleteFrom("journal_heads").execute();
			for (const table of TABLES) await copyTable(source, target, table);
		});
	});
}

async function copyTable(source: Session, target: Session, table: keyof Tables): Promise<void> {
	const pages = source.kind === "postgres" ? postgresPages(source, table) : sqlitePages(source, table);
	for await (const rows of pages)
		await target.db
			.insertInto(table)
			.values(rows as never)
			.execute();
}

type Page = readonly Readonly<Record<string, unknown>>[];

async function* postgresPages({ db }: Session, table: keyof Tables): AsyncGenerator<Page> {
	await sql`declare pages no scroll cursor for select * from ${sql.table(table)}`.execute(db);
	for (;;) {
		const { rows } = await sql<Page[number]>`fetch ${sql.lit(ROWS_AT_ONCE)} from pages`.execute(db);
		if (rows.length === 0) break;
		yield rows;
	}
	await sql`close pages`.execute(db);
}

async function* sqlitePages({ db }: Session, table: keyof Tables): AsyncGenerator<Page> {
	for (let last = -1; ; ) {
		const { rows } = await sql<{ place: number }>`select rowid as place, * from ${sql.table(table)}
			where rowid > ${last} order by rowid limit ${ROWS_AT_ONCE}`.execute(db);
		if (rows.length === 0) return;
		last = rows.at(-1)?.place ?? last;
		yield rows.map(({ place: _, ...row }) => row);
	}
}
