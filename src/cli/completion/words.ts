import { type CommandRow, KNOWN, type Known } from "../command.ts";

/** Words of a shell that print what there is; nothing where that can't be said soon: a control plane may be far away. */
export function lookUp(known: Known): string {
	return KNOWN[known].map((command) => `timeout 2 vouch ${command} 2>/dev/null`).join("; ");
}

export function isKnown(completes: string | undefined): completes is Known {
	return completes !== undefined && Object.hasOwn(KNOWN, completes);
}

export interface Word {
	readonly word: string;
	readonly summary: string;
}

/** What may stand right after `vouch` and these words: names of commands and groups. */
export function wordsAfter(rows: readonly CommandRow[], before: readonly string[]): readonly Word[] {
	const below = rows.filter((row) => before.every((word, at) => row.path[at] === word));
	const words = Map.groupBy(below, (row) => row.path[before.length] ?? "");
	words.delete("");
	return [...words].map(([word, group]) => ({ word, summary: group.map(({ summary }) => summary)[0] ?? word }));
}

/** First words of commands of two. */
export function groupsOf(rows: readonly CommandRow[]): readonly string[] {
	return [...new Set(rows.filter((row) => row.path.length > 1).map((row) => row.path[0]))];
}

/** Whether what follows its first operand belongs to another command. */
export function wrapsCommand(row: CommandRow): boolean {
	return row.operands.some((operand) => operand.presence === "one-or-more");
}

export function quote(text: string): string {
	return `'${text.replace(/'/g, "'\\''")}'`;
}
