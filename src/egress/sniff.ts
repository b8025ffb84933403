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

const [ALERT, HANDSHAKE, CLIENT_HELLO, WARNING, ALERT_BYTES] = [0x15, 0x16, 1, 1, 2];
const [TLS_MAJOR, MOST_LENIENT_MAJOR] = [3, 0x0f];

/** Until its end a line could become a request line; what goes on beyond this is left to the parser, which refuses it. */
const MAX_LINE = 8_300;
/** What some servers split a request line at: Python's at anything that it calls a blank. */
const BLANKS = String.raw`[\t\v\f\r\x1c-\x20\x85\xa0]`;
const BLANK = new RegExp(BLANKS);
const VERSION = new RegExp(`${BLANKS}http/\\d`, "i");
const KNOWN_METHOD = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI)$/i;

/** Classifies the first bytes. Pure; `undecided` means that more bytes may change the answer. */
export function shapeOf(bytes: Buffer): Shape {
	if (bytes.length === 0) return { kind: "undecided" };
	if (bytes[0] === HANDSHAKE || bytes[0] === ALERT) return tlsShape(bytes);
	const preamble = PREAMBLES.find((known) => bytes.subarray(0, 8).equals(known.subarray(0, bytes.length)));
	if (preamble !== undefined) return bytes.length < 8 ? { kind: "undecided" } : { kind: "preamble", length: 8 };
	// An SSL 2 hello has no server name; some servers still upgrade one to TLS.
	if (((bytes[0] ?? 0) & 0x80) !== 0 && bytes.length >= 5 && bytes[2] === 1 && bytes[3] === 3) {
		return { kind: "broken-tls", problem: "it is an SSL 2 hello" };
	}
	if (((bytes[0] ?? 0) & 0x80) !== 0 && bytes.length < 5) return { kind: "undecided" };
	return textShape(bytes);
}

/** What some server may take for TLS is: Go's read any version below 0x1000, and skip warnings before a hello. */
function tlsShape(bytes: Buffer): Shape {
	const [type, major = 0] = bytes;
	if (bytes.length < 2) return { kind: "undecided" };
	if (type !== HANDSHAKE || major !== TLS_MAJOR) return oddTlsShape(bytes, major);
	const hello = parseClientHello(bytes);
	if (hello.state === "incomplete") return { kind: "undecided" };
	if (hello.state === "malformed") return { kind: "broken-tls", problem: hello.problem };
	return { kind: "tls", sni: hello.sni, encrypted: hello.encrypted };
}

function oddTlsShape(bytes: Buffer, major: number): Shape {
	if (major > MOST_LENIENT_MAJOR) return { kind: "opaque" };
	if (bytes.length < 6) return { kind: "undecided" };
	const isHello = bytes[0] === HANDSHAKE && bytes[5] === CLIENT_HELLO;
	const isWarning = bytes[0] === ALERT && bytes.readUInt16BE(3) === ALERT_BYTES && bytes[5] === WARNING;
	if (isHello) return { kind: "broken-tls", problem: "its record is of a foreign version" };
	return isWarning ? { kind: "broken-tls", problem: "a warning stands before it" } : { kind: "opaque" };
}

/** Servers skip empty lines before a request (RFC 9112 section 2.2; nginx any number of them), and some are lenient about the rest of the line. */
function textShape(bytes: Buffer): Shape {
	const start = bytes.findIndex((byte) => byte !== 0x0a && !BLANK.test(String.fromCharCode(byte)));
	if (start < 0) return bytes.length > MAX_LINE ? { kind: "http" } : { kind: "undecided" };
	const rest = bytes.subarray(start, start + MAX_LINE);
	const newline = rest.indexOf(0x0a);
	const line = rest.toString("latin1", 0, newline < 0 ? rest.length : newline).replace(/\r$/, "");
	const word = /^[!#$%&'*+.^_`|~0-9A-Za-z-]*/.exec(line)?.[0] ?? "";
	const after = line[word.length];
	if (word === "" || (after !== undefined && !BLANK.test(after))) return { kind: "opaque" };
	if (after !== undefined && KNOWN_METHOD.test(word) && word === word.toUpperCase()) return { kind: "http" };
	if (newline >= 0) return VERSION.test(line) ? { kind: "http" } : { kind: "opaque" };
	return rest.length >= MAX_LINE ? { kind: "http" } : { kind: "undecided" };
}
