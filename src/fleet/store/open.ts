import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { nodeSqliteDialect } from "./dialects/node-sqlite.ts";
import { PreparedClient } from "./dialects/prepared-client.ts";
import { storeFailures } from "./failures.ts";
import { MIGRATIONS, type Migration, migrate } from "./migration.ts";
import { KyselyStore, type Store } from "./store.ts";
import type { Tables } from "./tables.ts";
import { LocalWakes, PostgresWakes } from "./wake.ts";

/** A transaction whose control plane says nothing for so long is undone: it may hold locks, and nobody knows whether it lives. */
const STALLED_MS = 4_000;
const CONNECT_MS = 10_000;

/**
 * Rows are found by an index, always: a prepared statement is planned once, maybe while its table is empty, when reading all of it
 * is the quickest. What has no index is read whole all the same.
 */
const PLANNER = "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off";

/** PostgreSQL's int8: sizes, times and counts, all far below 2^53. */
const INT8 = 20;

/**
 * Opens `sqlite:PATH` or `postgres://…`, brought to this program's version, or as far as `steps` go.
 * Throws VouchError `store-unusable`.
 */
export async function openStore(
	url: string,
	nowMs: () => number = Date.now,
	steps: readonly Migration[] = MIGRATIONS,
): Promise<Store> {
	try {
		if (url.startsWith("sqlite:")) return await openSqlite(url.slice("sqlite:".length), nowMs, steps);
		if (/^postgres(ql)?:\/\//.test(url)) return await openPostgres(url, nowMs, steps);
	} catch (error) {
		const problem = error instanceof Error ? error.message : String(error);
		throw storeFailures.fail("store-unusable", { store: withoutPassword(url), problem }, error);
	}
	const problem = "it is neither sqlite:PATH nor postgres://…";
	throw storeFailures.fail("store-unusable", { store: withoutPassword(url), problem });
}

async function openSqlite(path: string, nowMs: () => number, steps: readonly Migration[]): Promise<Store> {
	const file = path === ":memory:" ? path : resolve(path);
	if (file !== ":memory:") mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
	const db = new Kysely<Tables>({ dialect: nodeSqliteDialect(file) });
	await migrate(db, "sqlite", nowMs(), steps);
	return new KyselyStore("sqlite", db, new LocalWakes(), nowMs);
}

async function openPostgres(url: string, nowMs: () => number, steps: readonly Migration[]): Promise<Store> {
	const types = {
		getTypeParser: (oid: number, format?: "text" | "binary") =>
			oid === INT8 ? Number : pg.types.getTypeParser(oid, format as "text"),
	};
	const limits = { idle_in_transaction_session_timeout: STALLED_MS, connectionTimeoutMillis: CONNECT_MS };
	const onConnect = async (client: pg.ClientBase): Promise<void> => void (await client.query(PLANNER));
	const pool = new pg.Pool({ connectionString: url, max: 20, types, ...limits, Client: PreparedClient, onConnect });
	// A connection that breaks while nobody uses it is replaced by the next query.
	pool.on("error", () => undefined);
	const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
	try {
		await migrate(db, "postgres", nowMs(), steps);
		const wakes = new PostgresWakes(() => new pg.Client({ connectionString: url }));
		await wakes.open();
		return new KyselyStore("postgres", db, wakes, nowMs);
	} catch (error) {
		await db.destroy();
		throw error;
	}
}

function withoutPassword(url: string): string {
	return url.replace(/:\/\/([^:@/]*):[^@/]*@/, "://$1:***@");
}
