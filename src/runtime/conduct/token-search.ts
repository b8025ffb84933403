import { type Alphabet, runEnd, type TokenForm } from "./token-forms.ts";

export interface Token {
	readonly start: number;
	readonly end: number;
	/** What it goes on with, should it reach to the end of what is here. */
	readonly tail: Alphabet;
}

export interface Found {
	readonly tokens: readonly Token[];
	/** Where the first may begin of which only further bytes could tell. */
	readonly undecidedFrom: number;
}

/** Finds tokens by their forms, each of which begins with a word of two bytes or more. */
export class TokenSearch {
	readonly #forms: readonly TokenForm[];
	/** By their first two bytes, which are looked at everywhere; few go on from there. */
	readonly #byPair: ReadonlyMap<number, readonly TokenForm[]>;
	readonly #isPair = new Uint8Array(65_536);

	constructor(forms: readonly TokenForm[]) {
		this.#forms = forms;
		this.#byPair = Map.groupBy(forms, ([word]) => (Buffer.isBuffer(word) ? word.readUInt16BE() : -1));
		for (const pair of this.#byPair.keys()) this.#isPair[pair] = 1;
	}

	find(bytes: Buffer): Found {
		if (this.#forms.length === 0) return { tokens: [], undecidedFrom: bytes.length };
		const tokens: Token[] = [];
		const undecided: number[] = [];
		const tails = new Map<Alphabet, Tail>();
		const look = (forms: readonly TokenForm[], start: number): void => {
			for (const form of forms) {
				const begun = beginningOf(form, bytes, start);
				if (begun === "undecided") undecided.push(start);
				else if (begun !== undefined) tokens.push({ start, tail: begun.tail, end: tailEnd(begun, bytes, tails) });
			}
		};
		const last = bytes.length - 1;
		for (let start = 0, pair = bytes[0] ?? 0; start < last; start += 1) {
			pair = ((pair & 0xff) << 8) | (bytes[start + 1] ?? 0);
			if (this.#isPair[pair] === 1) look(this.#byPair.get(pair) ?? [], start);
		}
		if (last >= 0) look(this.#forms, last);
		return { tokens, undecidedFrom: undecided[0] ?? bytes.length };
	}
}

interface Beginning {
	/** It reaches so far at least. */
	readonly end: number;
	readonly tail: Alphabet;
}

/** A token that begins at `start`; "undecided" where only further bytes could tell. */
function beginningOf(form: TokenForm, bytes: Buffer, start: number): Beginning | "undecided" | undefined {
	let end = start;
	for (const step of form) {
		if (Buffer.isBuffer(step)) {
			const same = sameBytes(step, bytes, end);
			end += same;
			if (same < step.length) return end === bytes.length ? "undecided" : undefined;
		} else {
			const isLast = step.most === Number.POSITIVE_INFINITY;
			const until = end + (isLast ? step.least : step.most);
			const reached = runEnd(step.of, bytes, end, until);
			if (isLast && reached === until) return { end, tail: step.of };
			if (reached === bytes.length) return "undecided";
			if (reached < end + step.least) return undefined;
			end = reached;
		}
	}
	return undefined;
}

/** How many bytes of a word stand at `at`. A loop, since it mostly ends at the second: a call out of JavaScript would cost more. */
function sameBytes(word: Buffer, bytes: Buffer, at: number): number {
	let same = 0;
	while (same < word.length && word[same] === bytes[at + same]) same += 1;
	return same;
}

interface Tail {
	readonly from: number;
	readonly to: number;
}

/** Where it ends. Tokens that begin in each other's tails are not read anew: hostile output costs no more than its length. */
function tailEnd({ end, tail }: Beginning, bytes: Buffer, tails: Map<Alphabet, Tail>): number {
	const known = tails.get(tail);
	if (known !== undefined && known.from <= end && end <= known.to) return known.to;
	const to = runEnd(tail, bytes, end);
	tails.set(tail, { from: end, to });
	return to;
}
