import { refusal } from "./http/refusal.ts";

/** What a list was asked for: how many, and after which id. */
export interface PageQuery {
	readonly limit: number;
	readonly cursor?: string | undefined;
}

/** Identifiers sort by creation, so a page begins after one. Opaque on the wire, so that it may change. Throws for what is none. */
export function afterId({ cursor }: PageQuery): string | undefined {
	if (cursor === undefined) return undefined;
	const id = Buffer.from(cursor, "base64url").toString("utf8");
	if (/^[0-9A-Za-z_.:-]{1,200}$/.test(id)) return id;
	throw wrongCursor();
}

/** A number at the beginning of such an id, where a list is ordered by one. */
export function wholeNumberOf(text: string | undefined): number {
	if (text !== undefined && /^-?\d{1,15}$/.test(text)) return Number(text);
	throw wrongCursor();
}

function wrongCursor(): Error {
	const problem = "cursor: it is not what `next_cursor` said";
	return refusal("validation-failed", { what: "The request", problems: problem }, { details: [problem] });
}

/** Asked for one more than the limit: whether it came says whether there are further ones. */
export function pageOfRows<Row>(
	rows: readonly Row[],
	{ limit }: PageQuery,
	idOf: (row: Row) => string,
): { readonly rows: readonly Row[]; readonly next_cursor: string | null } {
	const shown = rows.slice(0, limit);
	const last = shown.at(-1);
	const hasMore = rows.length > limit && last !== undefined;
	return { rows: shown, next_cursor: hasMore ? Buffer.from(idOf(last)).toString("base64url") : null };
}
