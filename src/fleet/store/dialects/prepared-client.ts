import pg from "pg";

/** Statements that a connection keeps; the store has fewer. Those beyond are parsed each time. */
const MAX_STATEMENTS = 512;

/** The same text has the same name on every connection. */
const names = new Map<string, string>();
let namesGiven = 0;

/** A connection on which PostgreSQL parses each statement that has parameters once. */
export class PreparedClient extends pg.Client {
	override query(...given: unknown[]): never {
		const [text, values] = given;
		const query = (super.query as (...words: unknown[]) => unknown).bind(this);
		if (typeof text !== "string" || !Array.isArray(values) || values.length === 0) return query(...given) as never;
		const name = nameOf(text);
		if (name === undefined) return query(text, values) as never;
		const answer = query({ name, text, values }) as Promise<unknown>;
		return answer.catch((error: unknown) => {
			// Prepared anew under another name, on each connection.
			if (isOutdated(error)) names.delete(text);
			throw error;
		}) as never;
	}
}

/** Whether a statement failed because a newer version of the program, beside this one, has added a column since it was prepared. */
export function isOutdated(error: unknown): boolean {
	return error instanceof pg.DatabaseError && error.routine === "RevalidateCachedQuery";
}

function nameOf(text: string): string | undefined {
	const known = names.get(text);
	if (known !== undefined || names.size >= MAX_STATEMENTS) return known;
	namesGiven += 1;
	const name = `vouch_${namesGiven}`;
	names.set(text, name);
	return name;
}
