import { ENTROPY_BYTES, FRAME_TYPE, HEADER_BYTES, MAGIC } from "./protocol.ts";

/** The bytes of what a host says. DATA is a header and, after it, the bytes themselves. */
export function dataHeader(stream: number, length: number): Buffer {
	return header(FRAME_TYPE.data, stream, length);
}

export function credit(stream: number, bytes: number): Buffer {
	return withNumber(FRAME_TYPE.credit, stream, bytes);
}

export function end(stream: number): Buffer {
	return header(FRAME_TYPE.end, stream, 0);
}

export function reset(stream: number, reason: number): Buffer {
	return withNumber(FRAME_TYPE.reset, stream, reason);
}

export function hello(generation: number, wallClockNs: bigint, entropy: Uint8Array): Buffer {
	if (entropy.length !== ENTROPY_BYTES) throw new TypeError(`HELLO takes ${ENTROPY_BYTES} bytes of entropy`);
	const payload = Buffer.alloc(16 + ENTROPY_BYTES);
	payload.writeUInt32LE(MAGIC, 0);
	payload.writeUInt32LE(generation, 4);
	payload.writeBigUInt64LE(wallClockNs, 8);
	payload.set(entropy, 16);
	return frame(FRAME_TYPE.hello, payload);
}

export function signal(number: number): Buffer {
	return withNumber(FRAME_TYPE.signal, 0, number);
}

export function windowSize(rows: number, columns: number): Buffer {
	const payload = Buffer.alloc(4);
	payload.writeUInt16LE(rows, 0);
	payload.writeUInt16LE(columns, 2);
	return frame(FRAME_TYPE.windowSize, payload);
}

export function ping(bytes: Uint8Array): Buffer {
	return frame(FRAME_TYPE.ping, bytes);
}

export function pong(bytes: Uint8Array): Buffer {
	return frame(FRAME_TYPE.pong, bytes);
}

export function powerOff(): Buffer {
	return header(FRAME_TYPE.powerOff, 0, 0);
}

export function collect(): Buffer {
	return header(FRAME_TYPE.collect, 0, 0);
}

function header(type: number, stream: number, length: number): Buffer {
	const bytes = Buffer.alloc(HEADER_BYTES);
	bytes.writeUInt8(type, 0);
	bytes.writeUInt32LE(stream, 4);
	bytes.writeUInt32LE(length, 8);
	return bytes;
}

function frame(type: number, payload: Uint8Array): Buffer {
	return Buffer.concat([header(type, 0, payload.length), payload]);
}

function withNumber(type: number, stream: number, value: number): Buffer {
	const bytes = Buffer.alloc(HEADER_BYTES + 4);
	header(type, stream, 4).copy(bytes);
	bytes.writeUInt32LE(value, HEADER_BYTES);
	return bytes;
}
