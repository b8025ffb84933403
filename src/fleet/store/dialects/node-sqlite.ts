import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import {
	type CompiledQuery,
	type DatabaseConnection,
	type Dialect,
	type Driver,
	type QueryResult,
	SqliteAdapter,
	SqliteIntrospector,
	SqliteQueryCompiler,
} from "kysely";

/** How long a transaction, or a statement outside of one, waits for its turn at the file, without blocking this process. */
const TURN_WAIT_MS = 30_000;
const TURN_RETRY_MS = 2;
const SQLITE_BUSY = 5;

/** Compiled statements kept; the store has fewer shapes of queries than that. */
const MAX_STATEMENTS = 512;

/**
 * kysely on Node's own SQLite: one connection, so that whoever begins a transaction has the file to itself. It is durable
 * when `COMMIT` returns: write-ahead log, synchronous FULL.
 */
export function nodeSqliteDialect(path: string): Dialect {
	return {
		createDriver: () => new NodeSqliteDriver(path),
		createQueryCompiler: () => new SqliteQueryCompiler(),
		createAdapter: () => new SqliteAdapter(),
		createIntrospector: (db) => new SqliteIntrospector(db),
	};
}

class NodeSqliteDriver implements Driver {
	readonly #path: string;
	#connection: NodeSqliteConnection | undefined;
	/** Settles when whoever has the connection gives it back. */
	#turn: Promise<void> = Promise.resolve();
	#giveBack: (() => void) | undefined;

	constructor(path: string) {
		this.#path = path;
	}

	async init(): Promise<void> {
		const database = new DatabaseSync(this.#path);
		for (const pragma of ["journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"])
			await inTurn(() => database.exec(`PRAGMA ${pragma}`));
		this.#connection = new NodeSqliteConnection(database);
	}

	async acquireConnection(): Promise<DatabaseConnection> {
		const before = this.#turn;
		const { promise, resolve } = Promise.withResolvers<void>();
		this.#turn = promise;
		await before;
		this.#giveBack = resolve;
		if (this.#connection === undefined) throw new Error("the database is closed");
		return this.#connection;
	}

	async releaseConnection(): Promise<void> {
		this.#giveBack?.();
	}

	/** IMMEDIATE: takes the write lock at once, so that nothing that was read can change before it is written. */
	async beginTransaction(connection: DatabaseConnection): Promise<void> {
		const { begin } = connection as NodeSqliteConnection;
		await inTurn(() => begin.run());
	}

	async commitTransaction(connection: DatabaseConnection): Promise<void> {
		(connection as NodeSqliteConnection).commit.run();
	}

	async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
		const { database } = connection as NodeSqliteConnection;
		// Some failures, as of a full disk, have rolled it back already.
		if (database.isTransaction) database.exec("ROLLBACK");
	}

	async destroy(): Promise<void> {
		this.#connection?.close();
		this.#connection = undefined;
	}
}

/** Does it when nobody else has the file, asking again without blocking. */
async function inTurn<Done>(act: () => Done): Promise<Done> {
	const until = performance.now() + TURN_WAIT_MS;
	for (;;) {
		try {
			return act();
		} catch (error) {
			const busy = error instanceof Error && "errcode" in error && (Number(error.errcode) & 0xff) === SQLITE_BUSY;
			if (!busy || performance.now() > until) throw error;
			await sleep(TURN_RETRY_MS);
		}
	}
}

interface Prepared {
	readonly statement: StatementSync;
	readonly gives: "rows" | "nothing";
}

class NodeSqliteConnection implements DatabaseConnection {
	readonly database: DatabaseSync;
	readonly begin: StatementSync;
	readonly commit: StatementSync;
	readonly #statements = new Map<string, Prepared>();

	constructor(database: DatabaseSync) {
		this.database = database;
		this.begin = database.prepare("BEGIN IMMEDIATE");
		this.commit = database.prepare("COMMIT");
	}

	async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
		const values = parameters as readonly SQLInputValue[];
		return inTurn(() => {
			const { statement, gives } = this.#prepared(sql);
			if (gives === "rows") return { rows: statement.all(...values) as Row[] };
			return { rows: [], numAffectedRows: BigInt(statement.run(...values).changes) };
		});
	}

	// biome-ignore lint/correctness/useYield: the interface has a stream, and nobody here uses one.
	async *streamQuery(): AsyncGenerator<never> {
		throw new Error("streaming a query is not needed: lists are paged");
	}

	close(): void {
		this.#statements.clear();
		this.database.close();
	}

	#prepared(sql: string): Prepared {
		const known = this.#statements.get(sql);
		if (known !== undefined) return known;
		if (this.#statements.size >= MAX_STATEMENTS) this.#statements.clear();
		const statement = this.database.prepare(sql);
		const prepared: Prepared = { statement, gives: statement.columns().length > 0 ? "rows" : "nothing" };
		this.#statements.set(sql, prepared);
		return prepared;
	}
}
