/** JSON Canonicalization Scheme, RFC 8785: one byte sequence for one JSON value. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json | undefined };

/**
 * RFC 8785 text of a value. Members that are `undefined` are left out, as `JSON.stringify` does.
 * Throws TypeError on what JSON cannot carry: non-finite numbers, lone surrogates (RFC 8785 section 3.2.2.2), functions.
 */
export function canonicalJson(value: Json): string {
	if (value === null || typeof value === "boolean") return String(value);
	if (typeof value === "number") return canonicalNumber(value);
	if (typeof value === "string") return canonicalString(value);
	if (Array.isArray(value)) return `[${Array.from(value, (item: Json) => canonicalJson(item)).join(",")}]`;
	if (typeof value === "object") return canonicalObject(value as { readonly [name: string]: Json | undefined });
	throw new TypeError(`a ${typeof value} has no JSON form`);
}

function canonicalObject(value: { readonly [name: string]: Json | undefined }): string {
	const members: string[] = [];
	// RFC 8785 section 3.2.3: order by UTF-16 code units, which is what the default sort compares.
	for (const name of Object.keys(value).sort()) {
		const member = value[name];
		if (member !== undefined) members.push(`${canonicalString(name)}:${canonicalJson(member)}`);
	}
	return `{${members.join(",")}}`;
}

function canonicalNumber(value: number): string {
	if (!Number.isFinite(value)) throw new TypeError(`${value} has no JSON form`);
	return Object.is(value, -0) ? "0" : String(value);
}

/** Printable ASCII without quotes and backslashes: most strings, and their own JSON form. */
const PLAIN = /^[ !#-[\]-~]*$/;

function canonicalString(value: string): string {
	if (PLAIN.test(value)) return `"${value}"`;
	if (!value.isWellFormed()) throw new TypeError("a string with a lone surrogate has no canonical JSON form");
	return JSON.stringify(value);
}

/** Deepest nesting that a parser here follows: past it the text is refused, not recursed into. */
const MAX_DEPTH = 64;

/** The value of JSON text without repeated member names and nested at most 64 deep; throws SyntaxError otherwise. */
export function parseJsonStrict(text: string): Json {
	const value = JSON.parse(text) as Json;
	refuseTwinsAndDepth(text);
	return value;
}

/** The value of text that is its own canonical form, byte for byte; throws SyntaxError otherwise. */
export function parseCanonicalJson(text: string): Json {
	const value = parseJsonStrict(text);
	if (canonicalForm(value) !== text) throw new SyntaxError("not in canonical form (RFC 8785)");
	return value;
}

/** Undefined for what JSON text can spell and canonical JSON cannot: 1e400, a lone surrogate. */
function canonicalForm(value: Json): string | undefined {
	try {
		return canonicalJson(value);
	} catch (cause) {
		if (cause instanceof TypeError) return undefined;
		throw cause;
	}
}

/** Strings, brackets and commas of text that `JSON.parse` has already found valid. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/g;

/** `JSON.parse` keeps the last of two members with one name; two readers of signed text must not see two values. */
function refuseTwinsAndDepth(text: string): void {
	const open: (Set<string> | undefined)[] = [];
	let nameIsNext = false;
	for (const [token] of text.matchAll(TOKENS)) {
		if (token === "{" || token === "[") {
			open.push(token === "{" ? new Set() : undefined);
			nameIsNext = token === "{";
			if (open.length > MAX_DEPTH) throw new SyntaxError(`nested deeper than ${MAX_DEPTH} levels`);
		} else if (token === "}" || token === "]") {
			open.pop();
		} else if (token === ",") {
			nameIsNext = open.at(-1) !== undefined;
		} else if (nameIsNext) {
			const name = JSON.parse(token) as string;
			if (open.at(-1)?.has(name)) throw new SyntaxError(`two members are named ${token}`);
			open.at(-1)?.add(name);
			nameIsNext = false;
		}
	}
}
