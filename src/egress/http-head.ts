/** Heads of HTTP/1.1 messages (RFC 9112), read strictly: whatever two programs could read in two ways is malformed. */
export interface Field {
	readonly name: string;
	/** Lower case. */
	readonly key: string;
	readonly value: string;
}

/** How the bytes after a head are framed (RFC 9112 section 6.3). */
export type Framing =
	| { readonly kind: "none" }
	| { readonly kind: "length"; readonly bytes: number }
	| { readonly kind: "chunked" }
	/** Responses only: the body ends with the connection. */
	| { readonly kind: "until-close" };

interface Head {
	readonly version: "1.0" | "1.1";
	readonly fields: readonly Field[];
	/** Bytes of the head with its empty line. */
	readonly length: number;
	/** What the fields say about the body; a response's own status may overrule it. */
	readonly framing: Framing;
}

export interface RequestHead extends Head {
	readonly method: string;
	readonly target: string;
	/** Value of the one Host field, or null. */
	readonly host: string | null;
}

export interface ResponseHead extends Head {
	readonly status: number;
	readonly phrase: string;
}

export type HeadParse<T> =
	| { readonly state: "head"; readonly head: T }
	| { readonly state: "incomplete" }
	| { readonly state: "malformed"; readonly problem: string };

export interface HeadLimits {
	readonly bytes: number;
	readonly fields: number;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 section 5.5: visible characters, obs-text, space and tab. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

class Malformed extends Error {}

export function parseRequestHead(bytes: Buffer, limits: HeadLimits): HeadParse<RequestHead> {
	return parseHead(bytes, limits, (first, fields, length) => {
		const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}) ([\x21-\x7e]{1,8192}) HTTP\/1\.([01])$/.exec(first);
		if (match === null) throw new Malformed("its request line is not METHOD target HTTP/1.1");
		const version = match[3] === "1" ? "1.1" : "1.0";
		const hosts = fields.filter((field) => field.key === "host");
		if (hosts.length > 1) throw new Malformed("it has more than one Host");
		if (hosts.length === 0 && version === "1.1") throw new Malformed("it has no Host");
		const framing = framingOf(fields, version) ?? { kind: "none" };
		return {
			method: match[1] ?? "",
			target: match[2] ?? "",
			version,
			fields,
			length,
			framing,
			host: hosts[0]?.value ?? null,
		};
	});
}

export function parseResponseHead(bytes: Buffer, limits: HeadLimits): HeadParse<ResponseHead> {
	return parseHead(bytes, limits, (first, fields, length) => {
		const match = /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]{0,1024}))?$/.exec(first);
		if (match === null) throw new Malformed("its status line is not HTTP/1.1 and a status");
		const version = match[1] === "1" ? "1.1" : "1.0";
		const framing = framingOf(fields, version) ?? { kind: "until-close" };
		return { version, status: Number(match[2]), phrase: match[3] ?? "", fields, length, framing };
	});
}

function parseHead<T>(
	bytes: Buffer,
	limits: HeadLimits,
	read: (first: string, fields: readonly Field[], length: number) => T,
): HeadParse<T> {
	const end = bytes.subarray(0, limits.bytes).indexOf("\r\n\r\n");
	try {
		if (end < 0) {
			refuseBareNewlines(bytes.subarray(0, limits.bytes));
			if (bytes.length >= limits.bytes) throw new Malformed(`its head is longer than ${limits.bytes} bytes`);
			return { state: "incomplete" };
		}
		const text = bytes.toString("latin1", 0, end);
		const [first = "", ...lines] = text.split("\r\n");
		if (/[\r\n\0]/.test(first)) throw new Malformed("it has a bare CR, LF or NUL");
		if (lines.length > limits.fields) throw new Malformed(`it has more than ${limits.fields} header fields`);
		return { state: "head", head: read(first, lines.map(parseField), end + 4) };
	} catch (error) {
		if (error instanceof Malformed) return { state: "malformed", problem: error.message };
		throw error;
	}
}

/** A head that ends its lines with bare LF would never show its end, and would wait for the time limit. */
function refuseBareNewlines(bytes: Buffer): void {
	for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) {
		if (at === 0 || bytes[at - 1] !== 0x0d) throw new Malformed("it has a bare LF");
	}
}

function parseField(line: string): Field {
	// A line that starts with a space (obs-fold, RFC 9112 section 5.2) or has one before the colon fails as a name.
	const colon = line.indexOf(":");
	const name = line.slice(0, Math.max(0, colon));
	if (!TOKEN.test(name)) throw new Malformed("it has a header field without a plain name");
	const value = line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, "");
	if (!VALUE.test(value)) throw new Malformed(`its header field ${name} has control characters`);
	return { name, key: name.toLowerCase(), value };
}

/** What the fields say, undefined when they say nothing. Every ambiguity of RFC 9112 section 6.3 is malformed. */
function framingOf(fields: readonly Field[], version: "1.0" | "1.1"): Framing | undefined {
	const codings = fields.filter((field) => field.key === "transfer-encoding");
	const lengths = fields.filter((field) => field.key === "content-length");
	if (codings.length > 0 && lengths.length > 0) throw new Malformed("it has Content-Length and Transfer-Encoding");
	if (codings.length > 1 || lengths.length > 1) throw new Malformed("it frames its body twice");
	const [coding] = codings;
	if (coding !== undefined) {
		if (version === "1.0") throw new Malformed("HTTP/1.0 has no Transfer-Encoding");
		if (coding.value.toLowerCase() !== "chunked") throw new Malformed("its Transfer-Encoding is not chunked");
		return { kind: "chunked" };
	}
	const [length] = lengths;
	if (length === undefined) return undefined;
	if (!/^[0-9]{1,15}$/.test(length.value)) throw new Malformed("its Content-Length is not a number");
	return { kind: "length", bytes: Number(length.value) };
}

/** Fields that speak about one connection only (RFC 9110 section 7.6.1, conduits 9.5). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
	"connection",
	"keep-alive",
	"proxy-connection",
	"proxy-authenticate",
	"proxy-authorization",
	"te",
	"trailer",
	"trailers",
	"transfer-encoding",
	"content-length",
	"upgrade",
	"http2-settings",
]);

/** The fields that pass the gate: without hop-by-hop ones, those that Connection names, and framing, which is ours. */
export function endToEndFields(fields: readonly Field[]): readonly Field[] {
	const named = new Set(connectionOptions(fields));
	return fields.filter((field) => !HOP_BY_HOP.has(field.key) && !named.has(field.key));
}

/** Lower-case options of the Connection fields. */
export function connectionOptions(fields: readonly Field[]): readonly string[] {
	return fields
		.filter((field) => field.key === "connection" || field.key === "proxy-connection")
		.flatMap((field) => field.value.toLowerCase().split(","))
		.map((option) => option.trim());
}

/** Whether the sender keeps the connection open after this message (RFC 9112 section 9.3). */
export function keepsAlive(head: { readonly version: "1.0" | "1.1"; readonly fields: readonly Field[] }): boolean {
	const options = connectionOptions(head.fields);
	return !options.includes("close") && (head.version === "1.1" || options.includes("keep-alive"));
}

export function isWebSocketUpgrade(fields: readonly Field[]): boolean {
	const upgrades = fields.filter((field) => field.key === "upgrade");
	return upgrades.length === 1 && upgrades[0]?.value.toLowerCase() === "websocket";
}

export function textOfHead(
	first: string,
	fields: readonly { readonly name: string; readonly value: string }[],
): string {
	let text = `${first}\r\n`;
	for (const field of fields) text += `${field.name}: ${field.value}\r\n`;
	return `${text}\r\n`;
}
