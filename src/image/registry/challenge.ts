/** RFC 9110 section 11.6.1: `Bearer realm="…",service="…",scope="…"`, several in one header. */
export interface Challenge {
	/** Lower case. */
	readonly scheme: string;
	readonly parameters: ReadonlyMap<string, string>;
}

const MAX_HEADER = 8192;
/** token, then either `=` with a token or quoted string (a parameter), or nothing of the sort (a scheme). */
const PIECE = /([!#$%&'*+.^_`|~\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~\w-]+)))?[\s,]*/y;

/** Every challenge of a header; what can't be read ends the list. */
export function parseChallenges(header: string | undefined): readonly Challenge[] {
	if (header === undefined || header.length > MAX_HEADER) return [];
	const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
	PIECE.lastIndex = 0;
	for (let match = PIECE.exec(header); match !== null; match = PIECE.exec(header)) {
		const [, name = "", quoted, token] = match;
		const value = quoted === undefined ? token : quoted.replace(/\\(.)/g, "$1");
		const at = challenges.at(-1);
		if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
		else if (at === undefined) return [];
		else if (!at.parameters.has(name.toLowerCase())) at.parameters.set(name.toLowerCase(), value);
	}
	return challenges;
}
