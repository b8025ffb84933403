/** What the gate reads of a TLS ClientHello (RFC 8446 section 4.1.2), and nothing else of TLS. */
export type ClientHello =
	| { readonly state: "hello"; readonly sni: string | null; readonly encrypted: "plain" | "encrypted-client-hello" }
	| { readonly state: "incomplete" }
	| { readonly state: "malformed"; readonly problem: string };

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
/** RFC 8446 section 5.1: a plaintext record holds at most 2^14 bytes. */
const MAX_RECORD = 16_384;
const MAX_HELLO = 16_384;
/** Each arrival is read from the start again: records of one byte must not make that slow. */
const MAX_RECORDS = 64;
const SERVER_NAME = 0;
/** draft-ietf-tls-esni: the outer SNI says nothing about the name inside. */
const ENCRYPTED_CLIENT_HELLO = 0xfe0d;

const malformed = (problem: string): ClientHello => ({ state: "malformed", problem });

/** Reads the first flight of a TLS client, its records put together. Reads only the bytes given and never throws. */
export function parseClientHello(bytes: Buffer): ClientHello {
	const records: Buffer[] = [];
	let gathered = 0;
	let offset = 0;
	for (;;) {
		const wanted = wantedBytes(records, gathered);
		if (wanted === undefined) return malformed("it is not a ClientHello of at most 16 KiB");
		if (gathered >= 4 && gathered >= wanted) return readHello(Buffer.concat(records).subarray(4, wanted));
		if (records.length >= MAX_RECORDS) return malformed("it is cut into too many records");
		if (bytes.length - offset < 5) return { state: "incomplete" };
		if (bytes[offset] !== HANDSHAKE_RECORD || bytes[offset + 1] !== 3) return malformed("it has a foreign record");
		const length = bytes.readUInt16BE(offset + 3);
		// Empty handshake records are forbidden (RFC 8446 section 5.1): a stream of them would never end.
		if (length === 0 || length > MAX_RECORD) return malformed("it has a record of a forbidden size");
		const record = bytes.subarray(offset + 5, offset + 5 + length);
		records.push(record);
		gathered += record.length;
		if (record.length < length) {
			const known = wantedBytes(records, gathered);
			if (known === undefined) return malformed("it is not a ClientHello of at most 16 KiB");
			return { state: "incomplete" };
		}
		offset += 5 + length;
	}
}

/** Bytes of the handshake message with its four-byte header, 4 while unknown, undefined when it can't be a ClientHello. */
function wantedBytes(records: readonly Buffer[], gathered: number): number | undefined {
	if (gathered === 0) return 4;
	const head = Buffer.concat(records.slice(0, 4), Math.min(gathered, 4));
	if (head[0] !== CLIENT_HELLO) return undefined;
	if (head.length < 4) return 4;
	const length = head.readUIntBE(1, 3);
	return length <= MAX_HELLO ? length + 4 : undefined;
}

/** A cursor that refuses to read past its end. */
class Reader {
	readonly #bytes: Buffer;
	#offset = 0;
	constructor(bytes: Buffer) {
		this.#bytes = bytes;
	}
	get left(): number {
		return this.#bytes.length - this.#offset;
	}
	take(size: number): Buffer {
		if (size > this.left) throw new RangeError("past the end");
		this.#offset += size;
		return this.#bytes.subarray(this.#offset - size, this.#offset);
	}
	number(size: 1 | 2): number {
		return this.take(size).readUIntBE(0, size);
	}
	/** A vector with its length before it. */
	vector(lengthSize: 1 | 2): Buffer {
		return this.take(this.number(lengthSize));
	}
}

function readHello(body: Buffer): ClientHello {
	try {
		const reader = new Reader(body);
		reader.take(2 + 32);
		reader.vector(1);
		reader.vector(2);
		reader.vector(1);
		if (reader.left === 0) return { state: "hello", sni: null, encrypted: "plain" };
		const extensions = new Reader(reader.vector(2));
		if (reader.left !== 0) return malformed("it has bytes after its extensions");
		return readExtensions(extensions);
	} catch {
		return malformed("a length in it points past its end");
	}
}

function readExtensions(extensions: Reader): ClientHello {
	let sni: string | null = null;
	let encrypted: "plain" | "encrypted-client-hello" = "plain";
	const seen = new Set<number>();
	while (extensions.left > 0) {
		const type = extensions.number(2);
		const data = extensions.vector(2);
		// RFC 8446 section 4.2: no extension twice. Two server names would mean two readings.
		if (seen.has(type)) return malformed("it has an extension twice");
		seen.add(type);
		if (type === ENCRYPTED_CLIENT_HELLO) encrypted = "encrypted-client-hello";
		if (type === SERVER_NAME) {
			const list = new Reader(data);
			const names = new Reader(list.vector(2));
			if (list.left !== 0 || names.number(1) !== 0) return malformed("its server name is not a host name");
			sni = names.vector(2).toString("latin1");
			if (names.left !== 0) return malformed("it has more than one server name");
		}
	}
	return { state: "hello", sni, encrypted };
}
