import { FRAME_TYPE, GUEST_FAILURE, HEADER_BYTES, MAGIC, MAX_PAYLOAD_BYTES, RESET_REASON, STREAM } from "./protocol.ts";

/** What a guest said, checked as far as one frame can be by itself. */
export type GuestFrame =
	| { readonly kind: "ready"; readonly generation: number; readonly bootState: number; readonly facts: GuestFacts }
	| { readonly kind: "hello-ok"; readonly generation: number }
	/** A part of a DATA frame: parts are handed on as they come. */
	| { readonly kind: "data"; readonly stream: number; readonly bytes: Buffer }
	| { readonly kind: "credit"; readonly stream: number; readonly bytes: number }
	| { readonly kind: "end"; readonly stream: number }
	| { readonly kind: "reset"; readonly stream: number; readonly reason: number }
	| { readonly kind: "open"; readonly stream: number; readonly connection: OpenedConnection }
	| {
			readonly kind: "exit";
			readonly how: "exited" | "signaled";
			readonly code: number;
			readonly memory: "limit-met" | "within-limit";
			readonly facts: GuestFacts;
	  }
	| { readonly kind: "failed"; readonly reason: number; readonly message: string }
	| { readonly kind: "ping" | "pong"; readonly bytes: Buffer }
	| {
			readonly kind: "refused-datagram";
			readonly protocol: number;
			readonly destination: string;
			readonly port: number;
			readonly bytes: number;
	  };

/** `key=value` lines: for people, nothing is decided by them. */
export type GuestFacts = Readonly<Record<string, string>>;

export interface OpenedConnection {
	readonly protocol: "tcp" | "dns";
	readonly source: { readonly address: string; readonly port: number };
	readonly destination: { readonly address: string; readonly port: number };
}

/** The guest sent what generation 1 does not allow. The run ends. */
export class ProtocolViolation extends Error {}

export interface FrameHeader {
	readonly type: number;
	readonly stream: number;
	readonly length: number;
}

const MAX_TEXT_BYTES = 8192;

/** Length bounds of each frame that a guest may send. */
const LENGTHS: ReadonlyMap<number, readonly [least: number, most: number]> = new Map([
	[FRAME_TYPE.ready, [9, 9 + MAX_TEXT_BYTES]],
	[FRAME_TYPE.helloOk, [4, 4]],
	[FRAME_TYPE.data, [1, MAX_PAYLOAD_BYTES]],
	[FRAME_TYPE.credit, [4, 4]],
	[FRAME_TYPE.end, [0, 0]],
	[FRAME_TYPE.reset, [4, 4]],
	[FRAME_TYPE.open, [40, 40]],
	[FRAME_TYPE.exit, [8, 8 + MAX_TEXT_BYTES]],
	[FRAME_TYPE.failed, [4, 4 + MAX_TEXT_BYTES]],
	[FRAME_TYPE.ping, [0, 64]],
	[FRAME_TYPE.pong, [0, 64]],
	[FRAME_TYPE.refusedDatagram, [24, 24]],
]);

/** Frames that belong to a stream; all others stand on stream 0. */
const ON_STREAMS: ReadonlySet<number> = new Set([
	FRAME_TYPE.data,
	FRAME_TYPE.credit,
	FRAME_TYPE.end,
	FRAME_TYPE.reset,
	FRAME_TYPE.open,
]);

/** The 12 bytes before a payload. Throws ProtocolViolation. */
export function readHeader(bytes: Buffer): FrameHeader {
	const type = bytes.readUInt8(0);
	const stream = bytes.readUInt32LE(4);
	const length = bytes.readUInt32LE(8);
	const bounds = LENGTHS.get(type);
	if (bounds === undefined) throw new ProtocolViolation(`frame type ${type} is none that a guest sends`);
	if (bytes.readUInt8(1) !== 0 || bytes.readUInt16LE(2) !== 0) {
		throw new ProtocolViolation(`reserved bits are set in a frame of type ${type}`);
	}
	if (length < bounds[0] || length > bounds[1]) {
		throw new ProtocolViolation(`a frame of type ${type} claims ${length} bytes`);
	}
	if (ON_STREAMS.has(type) !== stream > 0) {
		throw new ProtocolViolation(`a frame of type ${type} stands on stream ${stream}`);
	}
	return { type, stream, length };
}

/** A whole frame but DATA, whose parts are handed on without waiting for the rest. Throws ProtocolViolation. */
export function readPayload({ type, stream }: FrameHeader, payload: Buffer): GuestFrame {
	switch (type) {
		case FRAME_TYPE.ready:
			if (payload.readUInt32LE(0) !== MAGIC) throw new ProtocolViolation("READY does not begin with the magic number");
			return {
				kind: "ready",
				generation: payload.readUInt32LE(4),
				bootState: payload.readUInt8(8),
				facts: factsOf(payload.subarray(9)),
			};
		case FRAME_TYPE.helloOk:
			return { kind: "hello-ok", generation: payload.readUInt32LE(0) };
		case FRAME_TYPE.credit:
			return { kind: "credit", stream, bytes: payload.readUInt32LE(0) };
		case FRAME_TYPE.end:
			return { kind: "end", stream };
		case FRAME_TYPE.reset:
			return { kind: "reset", stream, reason: known(RESET_REASON, payload.readUInt32LE(0), "reset reason") };
		case FRAME_TYPE.open:
			return { kind: "open", stream, connection: readOpen(stream, payload) };
		case FRAME_TYPE.exit:
			return readExit(payload);
		case FRAME_TYPE.failed:
			return {
				kind: "failed",
				reason: known(GUEST_FAILURE, payload.readUInt32LE(0), "failure reason"),
				message: payload.toString("latin1", 4),
			};
		case FRAME_TYPE.ping:
			return { kind: "ping", bytes: Buffer.from(payload) };
		case FRAME_TYPE.pong:
			return { kind: "pong", bytes: Buffer.from(payload) };
		case FRAME_TYPE.refusedDatagram:
			return {
				kind: "refused-datagram",
				protocol: payload.readUInt8(0),
				destination: readAddress(payload.readUInt8(1), payload.subarray(8, 24)),
				port: payload.readUInt16LE(2),
				bytes: payload.readUInt32LE(4),
			};
		default:
			throw new ProtocolViolation(`frame type ${type} is none that a guest sends`);
	}
}

function known(table: Readonly<Record<string, number>>, value: number, what: string): number {
	if (Object.values(table).includes(value)) return value;
	throw new ProtocolViolation(`${value} is no ${what}`);
}

function readOpen(stream: number, payload: Buffer): OpenedConnection {
	const kind = payload.readUInt8(0);
	const family = payload.readUInt8(1);
	if (kind !== 1 && kind !== 2) throw new ProtocolViolation(`a connection of kind ${kind} was opened`);
	if (payload.readUInt16LE(6) !== 0) throw new ProtocolViolation("reserved bits are set in OPEN");
	if (stream < STREAM.firstConnection || stream % 2 !== 0) {
		throw new ProtocolViolation(`a connection was opened as stream ${stream}`);
	}
	return {
		protocol: kind === 1 ? "tcp" : "dns",
		source: { address: readAddress(family, payload.subarray(8, 24)), port: payload.readUInt16LE(2) },
		destination: { address: readAddress(family, payload.subarray(24, 40)), port: payload.readUInt16LE(4) },
	};
}

/** RFC 4291 text without abbreviations: whoever reads it brings it to its canonical form. */
function readAddress(family: number, bytes: Buffer): string {
	if (family === 4) {
		if (bytes.subarray(4).some((byte) => byte !== 0)) throw new ProtocolViolation("an IPv4 address has 16 bytes");
		return bytes.subarray(0, 4).join(".");
	}
	if (family !== 6) throw new ProtocolViolation(`address family ${family} is neither 4 nor 6`);
	return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(":");
}

function readExit(payload: Buffer): GuestFrame {
	const [how, flags, code] = [payload.readUInt8(0), payload.readUInt8(1), payload.readUInt32LE(4)];
	const most = how === 0 ? 255 : 64;
	if (how > 1 || flags > 1 || payload.readUInt16LE(2) !== 0 || code > most || (how === 1 && code === 0)) {
		throw new ProtocolViolation("EXIT says what no process can end with");
	}
	return {
		kind: "exit",
		how: how === 0 ? "exited" : "signaled",
		code,
		memory: flags === 1 ? "limit-met" : "within-limit",
		facts: factsOf(payload.subarray(8)),
	};
}

const MAX_FACTS = 32;

function factsOf(text: Buffer): GuestFacts {
	const pairs = text
		.toString("latin1")
		.split("\n", MAX_FACTS)
		.map((line) => /^([A-Za-z]{1,32})=([\x20-\x7e]{0,256})$/.exec(line))
		.filter((match) => match !== null)
		.map(([, key = "", value = ""]) => [key, value] as const);
	return Object.fromEntries(pairs);
}

/** Splits the guest's bytes into frames. Holds at most one header and one payload that is not DATA. */
export class FrameReader {
	readonly #header = Buffer.alloc(HEADER_BYTES);
	#headerUsed = 0;
	#current: FrameHeader | null = null;
	#payload: Buffer = Buffer.alloc(0);
	#payloadUsed = 0;

	/** The frames that end, or of which data came, in these bytes. Throws ProtocolViolation; then it must not be used again. */
	*frames(bytes: Buffer): Generator<GuestFrame> {
		let rest = bytes;
		for (;;) {
			if (this.#current === null) rest = this.#takeHeader(rest);
			const header = this.#current;
			if (header === null) return;
			if (header.type === FRAME_TYPE.data) {
				if (rest.length === 0) return;
				const part = rest.subarray(0, header.length - this.#payloadUsed);
				rest = rest.subarray(part.length);
				this.#payloadUsed += part.length;
				if (this.#payloadUsed === header.length) this.#current = null;
				yield { kind: "data", stream: header.stream, bytes: part };
				continue;
			}
			rest = this.#takePayload(rest, header);
			if (this.#payloadUsed < header.length) return;
			this.#current = null;
			yield readPayload(header, this.#payload);
		}
	}

	#takeHeader(bytes: Buffer): Buffer {
		const taken = bytes.copy(this.#header, this.#headerUsed, 0, HEADER_BYTES - this.#headerUsed);
		this.#headerUsed += taken;
		if (this.#headerUsed < HEADER_BYTES) return bytes.subarray(taken);
		const header = readHeader(this.#header);
		this.#headerUsed = 0;
		this.#payloadUsed = 0;
		this.#current = header;
		if (header.type !== FRAME_TYPE.data) this.#payload = Buffer.alloc(header.length);
		return bytes.subarray(taken);
	}

	#takePayload(bytes: Buffer, { length }: FrameHeader): Buffer {
		const taken = bytes.copy(this.#payload, this.#payloadUsed, 0, length - this.#payloadUsed);
		this.#payloadUsed += taken;
		return bytes.subarray(taken);
	}
}
