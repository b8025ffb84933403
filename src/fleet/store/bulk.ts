import { type RawBuilder, type SqlBool, sql } from "kysely";
import type { Session } from "./store.ts";
import type { Tables } from "./tables.ts";

/**
 * Many rows by one statement, given as one parameter: its text is the same however many there are, so that the database parses and
 * plans it once, and nobody builds thousands of parameters.
 */

type Value = string | number | null;
type Row = Readonly<Record<string, Value>>;
/** Tables without bytes, which JSON can't hold. */
type BulkTable = "directives" | "facilities" | "audit_events";

/** Whether the column is one of these. */
export function isOneOf({ kind }: Session, column: string, values: readonly string[]): RawBuilder<SqlBool> {
	return kind === "postgres"
		? sql`${sql.ref(column)} = any(${values}::text[])`
		: sql`${sql.ref(column)} in (select value from json_each(${JSON.stringify(values)}))`;
}

/** All of these rows name the same columns. */
export async function insertEach<Table extends BulkTable>(
	session: Session,
	table: Table,
	rows: readonly Tables[Table][],
): Promise<void> {
	const [first] = rows;
	if (first === undefined) return;
	const columns = Object.keys(first);
	const names = sql.join(columns.map((column) => sql.ref(column)));
	const given = rowsOf(session, table, rows as readonly object[] as readonly Row[], columns);
	await sql`insert into ${sql.table(table)} (${names}) select ${names} from ${given}`.execute(session.db);
}

/** Values of the row with that id; all rows of one update name the same columns. */
export interface Update {
	readonly id: string;
	readonly values: Row;
}

/** Gives each row values of its own, `only` where that holds; in it the name of a column stands behind its table. Answers how many rows there were. */
export async function updateEach(
	session: Session,
	table: BulkTable,
	updates: readonly Update[],
	only: RawBuilder<unknown> = sql`true`,
): Promise<number> {
	const [first] = updates;
	if (first === undefined) return 0;
	const columns = Object.keys(first.values);
	const set = columns.map((column) => sql`${sql.ref(column)} = ${sql.ref(`given.${column}`)}`);
	const rows = updates.map(({ id, values }) => ({ ...values, id }));
	const given = rowsOf(session, table, rows, ["id", ...columns]);
	const id = sql.ref(`${table}.id`);
	const { numAffectedRows } = await sql`
		update ${sql.table(table)} set ${sql.join(set)} from ${given} where ${id} = given.id and ${only}`.execute(
		session.db,
	);
	return Number(numAffectedRows ?? 0);
}

/** As the table `given`, with the types that the table has. */
function rowsOf(
	{ kind }: Session,
	table: BulkTable,
	rows: readonly Row[],
	columns: readonly string[],
): RawBuilder<unknown> {
	if (kind === "postgres")
		return sql`json_populate_recordset(null::${sql.table(table)}, ${JSON.stringify(rows)}) as given`;
	const places = columns.map((column, at) => sql`value ->> ${sql.lit(at)} as ${sql.ref(column)}`);
	const values = JSON.stringify(rows.map((row) => columns.map((column) => row[column])));
	return sql`(select ${sql.join(places)} from json_each(${values})) as given`;
}
