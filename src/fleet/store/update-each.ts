import { type RawBuilder, sql } from "kysely";
import type { Session } from "./store.ts";

type Value = string | number | null;

/** Values of the row with that id; all rows of one update name the same columns. */
export interface Update {
	readonly id: string;
	readonly values: Readonly<Record<string, Value>>;
}

/** Gives each row values of its own, in one statement; what is the same for all is said once. Answers how many rows there were. */
export async function updateEach(
	{ db }: Session,
	table: "directives" | "facilities" | "audit_events",
	updates: readonly Update[],
	only: RawBuilder<unknown> = sql`true`,
): Promise<number> {
	const [first] = updates;
	if (first === undefined) return 0;
	const columns = Object.keys(first.values);
	const isShared = (column: string) => updates.every(({ values }) => values[column] === first.values[column]);
	const own = columns.filter((column) => !isShared(column));
	const shared = columns.filter(isShared).map((column) => sql`${sql.ref(column)} = ${first.values[column]}`);
	// Both databases name the columns of a list of values so, and PostgreSQL takes them for text.
	const given = own.map((column, at) => {
		const type = sql.raw(updates.some(({ values }) => typeof values[column] === "number") ? "bigint" : "text");
		return sql`${sql.ref(column)} = cast(given.${sql.ref(`column${at + 2}`)} as ${type})`;
	});
	const rows = updates.map(({ id, values }) => sql`(${sql.join([id, ...own.map((column) => values[column])])})`);
	const id = sql.ref(`${table}.id`);
	const { numAffectedRows } = await sql`
		update ${sql.table(table)} set ${sql.join([...shared, ...given])}
		from (values ${sql.join(rows)}) as given where ${id} = given.column1 and ${only}`.execute(db);
	return Number(numAffectedRows ?? 0);
}
