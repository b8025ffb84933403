import { type RawBuilder, sql } from "kysely";

/** Whether a column's text begins so: every sign is taken as it is, which LIKE does not do. */
export function beginsWith(column: "location", text: string): RawBuilder<boolean> {
	return sql<boolean>`substr(${sql.ref(column)}, 1, length(cast(${text} as text))) = ${text}`;
}

/** Whether a column that is a JSON list of texts holds this one. */
export function holds(column: "tags" | "capabilities", text: string): RawBuilder<boolean> {
	return sql<boolean>`replace(${sql.ref(column)}, ${JSON.stringify(text)}, '') <> ${sql.ref(column)}`;
}
