import { Transform, type TransformCallback } from "node:stream";
import { type Alphabet, runEnd, type TokenForm } from "./token-forms.ts";
import { type Token, TokenSearch } from "./token-search.ts";

const MASK = Buffer.from("[secret]");

/** Shorter secrets are not masked, since that would shred ordinary text: whoever takes a secret in refuses those. */
export const SHORTEST_SECRET_BYTES = 4;

/** What no output may show. */
export interface Hidden {
	readonly secrets: readonly string[];
	/** What is a secret by how it is written. */
	readonly forms: readonly TokenForm[];
}

interface Occurrence {
	readonly start: number;
	readonly end: number;
}

/**
 * Replaces the secrets in a byte stream: no byte that belongs to an occurrence of one comes out, also where occurrences overlap
 * or fall across chunks, and each stretch of overlapping occurrences becomes one mask. What could be the beginning of a secret
 * waits for the next chunk: always less than the longest secret, and of a token no more than it is known by.
 */
export class Masking extends Transform {
	readonly #secrets: readonly Buffer[];
	readonly #longest: number;
	readonly #tokens: TokenSearch;
	#held: Buffer = Buffer.alloc(0);
	/** How many of the held bytes belong to an occurrence whose mask is already out. */
	#covered = 0;
	/** What tokens go on with that reach to the end of what is held. */
	#open: readonly Alphabet[] = [];

	constructor({ secrets, forms }: Hidden) {
		super();
		this.#secrets = [...new Set(secrets)]
			.map((secret) => Buffer.from(secret))
			.filter((secret) => secret.length >= SHORTEST_SECRET_BYTES);
		this.#longest = Math.max(0, ...this.#secrets.map((secret) => secret.length));
		this.#tokens = new TokenSearch(forms);
	}

	override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
		const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
		const { tokens, undecidedFrom } = this.#tokens.find(bytes);
		this.#emit(bytes, Math.min(undecidedFrom, this.#undecidedFrom(bytes)), tokens);
		done();
	}

	override _flush(done: TransformCallback): void {
		this.#emit(this.#held, this.#held.length, this.#tokens.find(this.#held).tokens);
		done();
	}

	/** Passes on what lies before `until`, masked, and holds the rest. */
	#emit(bytes: Buffer, until: number, tokens: readonly Token[]): void {
		const goingOn = this.#open.map((tail) => ({ tail, end: runEnd(tail, bytes, this.#covered) }));
		let at = Math.max(this.#covered, ...goingOn.map(({ end }) => end));
		const occurrences = [...this.#occurrences(bytes), ...tokens].sort((left, right) => left.start - right.start);
		for (const { start, end } of occurrences) {
			if (start >= until) break;
			if (start >= at) {
				this.push(bytes.subarray(at, start));
				this.push(MASK);
			}
			at = Math.max(at, end);
		}
		if (at < until) this.push(bytes.subarray(at, until));
		this.#covered = Math.max(0, at - until);
		const begun = tokens.filter(({ start }) => start < until);
		this.#open = [...new Set([...goingOn, ...begun].flatMap(({ tail, end }) => (end === bytes.length ? [tail] : [])))];
		// A copy: a view would keep the whole chunk alive, and the source may use it again.
		this.#held = Buffer.from(bytes.subarray(until));
	}

	/** Every occurrence of every secret. */
	#occurrences(bytes: Buffer): readonly Occurrence[] {
		const found: Occurrence[] = [];
		for (const secret of this.#secrets) {
			for (let start = bytes.indexOf(secret); start !== -1; start = bytes.indexOf(secret, start + 1)) {
				found.push({ start, end: start + secret.length });
			}
		}
		return found;
	}

	/** Where the first secret may begin whose end is not here yet. */
	#undecidedFrom(bytes: Buffer): number {
		for (let at = Math.max(0, bytes.length - this.#longest + 1); at < bytes.length; at += 1) {
			if (this.#secrets.some((secret) => beginsAt(bytes, at, secret))) return at;
		}
		return bytes.length;
	}
}

/** Whether the bytes from `at` to the end are the beginning of a longer secret. */
function beginsAt(bytes: Buffer, at: number, secret: Buffer): boolean {
	const size = bytes.length - at;
	if (secret[0] !== bytes[at] || secret.length <= size) return false;
	return secret.compare(bytes, at, bytes.length, 0, size) === 0;
}
