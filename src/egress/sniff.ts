import { parseClientHello } from "./client-hello.ts";

/** What the first bytes of a client's stream are. */
export type Shape =
	| { readonly kind: "tls"; readonly sni: string | null; readonly encrypted: "plain" | "encrypted-client-hello" }
	| { readonly kind: "broken-tls"; readonly problem: string }
	/** HTTP, or so close to it that a server may take it for HTTP: the strict parser decides. */
	| { readonly kind: "http" }
	/** A few bytes that ask for encryption; what counts comes after them. */
	| { readonly kind: "preamble"; readonly length: number }
	| { readonly kind: "opaque" }
	| { readonly kind: "undecided" };

/** PostgreSQL SSLRequest and GSSENCRequest: eight bytes, then a ClientHello. */
const PREAMBLES = [Buffer.from("0000000804d2162f", "hex"), Buffer.from("0000000804d21630", "hex")] as const;

/** A request line that is longer is no request line; until its end it could become one. */
const MAX_LINE = 8_300;
const KNOWN_METHOD = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI)$/i;

/** Classifies the first bytes. Pure; `undecided` means that more bytes may change the answer. */
export function shapeOf(bytes: Buffer): Shape {
	if (bytes.length === 0) return { kind: "undecided" };
	if (bytes[0] === 0x16) return tlsShape(bytes);
	const preamble = PREAMBLES.find((known) => bytes.subarray(0, 8).equals(known.subarray(0, bytes.length)));
	if (preamble !== undefined) return bytes.length < 8 ? { kind: "undecided" } : { kind: "preamble", length: 8 };
	// An SSL 2 hello has no server name; some servers still upgrade one to TLS.
	if (((bytes[0] ?? 0) & 0x80) !== 0 && bytes.length >= 5 && bytes[2] === 1 && bytes[3] === 3) {
		return { kind: "broken-tls", problem: "it is an SSL 2 hello" };
	}
	if (((bytes[0] ?? 0) & 0x80) !== 0 && bytes.length < 5) return { kind: "undecided" };
	return textShape(bytes);
}

function tlsShape(bytes: Buffer): Shape {
	if (bytes.length < 2) return { kind: "undecided" };
	if (bytes[1] !== 3) return { kind: "opaque" };
	const hello = parseClientHello(bytes);
	if (hello.state === "incomplete") return { kind: "undecided" };
	if (hello.state === "malformed") return { kind: "broken-tls", problem: hello.problem };
	return { kind: "tls", sni: hello.sni, encrypted: hello.encrypted };
}

/** Servers skip empty lines before a request (RFC 9112 section 2.2), and some are lenient about the rest of the line. */
function textShape(bytes: Buffer): Shape {
	const start = bytes.findIndex((byte) => byte !== 0x0d && byte !== 0x0a && byte !== 0x20 && byte !== 0x09);
	if (start < 0) return bytes.length > MAX_LINE ? { kind: "opaque" } : { kind: "undecided" };
	const rest = bytes.subarray(start, start + MAX_LINE);
	const newline = rest.indexOf(0x0a);
	const line = rest.toString("latin1", 0, newline < 0 ? rest.length : newline);
	const word = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}/.exec(line)?.[0] ?? "";
	if (word === "") return { kind: "opaque" };
	if (word.length === line.length && newline < 0) return line.length > 20 ? { kind: "opaque" } : { kind: "undecided" };
	const after = line[word.length];
	if (after !== " " && after !== "\t") return { kind: "opaque" };
	if (KNOWN_METHOD.test(word) && word === word.toUpperCase()) return { kind: "http" };
	if (newline >= 0) return / http\/\d/i.test(line) ? { kind: "http" } : { kind: "opaque" };
	return rest.length >= MAX_LINE ? { kind: "opaque" } : { kind: "undecided" };
}
