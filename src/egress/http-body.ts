import type { Framing } from "./http-head.ts";

export type BodyStep =
	/** `used` bytes of the input are done with; `data` of it is payload. */
	| { readonly state: "more" | "done"; readonly used: number; readonly data: readonly Buffer[] }
	| { readonly state: "malformed"; readonly problem: string };

/** Longest chunk-size line with its extension, and trailer section: both are read and thrown away. */
const MAX_LINE = 1024;
const MAX_TRAILER = 8192;

/** Takes a body apart as its bytes come. Feed it each input once; it never looks past the body's end. */
export interface BodyReader {
	read(bytes: Buffer): BodyStep;
	/** Whether the body may end where the connection does. */
	readonly endsWithConnection: boolean;
}

export function bodyReader(framing: Framing): BodyReader {
	if (framing.kind === "chunked") return new ChunkedReader();
	if (framing.kind === "until-close") {
		return { endsWithConnection: true, read: (bytes) => ({ state: "more", used: bytes.length, data: [bytes] }) };
	}
	let left = framing.kind === "length" ? framing.bytes : 0;
	return {
		endsWithConnection: false,
		read: (bytes) => {
			const part = bytes.subarray(0, left);
			left -= part.length;
			return { state: left === 0 ? "done" : "more", used: part.length, data: part.length > 0 ? [part] : [] };
		},
	};
}

type Phase = "size" | "data" | "data-end" | "trailer";

/** RFC 9112 section 7.1, without its liberties: sizes of 1 to 13 hexadecimal digits, CRLF only, no bare CR. */
class ChunkedReader implements BodyReader {
	readonly endsWithConnection = false;
	#phase: Phase = "size";
	#left = 0;
	#trailerBytes = 0;

	read(bytes: Buffer): BodyStep {
		const data: Buffer[] = [];
		let used = 0;
		for (;;) {
			if (this.#phase === "data") {
				const part = bytes.subarray(used, used + this.#left);
				if (part.length > 0) data.push(part);
				used += part.length;
				this.#left -= part.length;
				if (this.#left > 0) return { state: "more", used, data };
				this.#phase = "data-end";
			}
			const line = lineAt(bytes, used);
			if (line === "malformed") return { state: "malformed", problem: "a chunk has a malformed or too long line" };
			if (line === "incomplete") return { state: "more", used, data };
			used += line.length + 2;
			const problem = this.#takeLine(line);
			if (problem === "done") return { state: "done", used, data };
			if (problem !== null) return { state: "malformed", problem };
		}
	}

	#takeLine(line: string): string | "done" | null {
		if (this.#phase === "data-end") {
			this.#phase = "size";
			return line === "" ? null : "a chunk is longer than its size says";
		}
		if (this.#phase === "trailer") {
			this.#trailerBytes += line.length + 2;
			if (this.#trailerBytes > MAX_TRAILER) return "its trailer is too long";
			return line === "" ? "done" : null;
		}
		const match = /^([0-9a-fA-F]{1,13})(?:;[\t\x20-\x7e]*)?$/.exec(line);
		if (match === null) return "a chunk size is not a hexadecimal number";
		this.#left = Number.parseInt(match[1] ?? "", 16);
		this.#phase = this.#left === 0 ? "trailer" : "data";
		return null;
	}
}

function lineAt(bytes: Buffer, start: number): string | "incomplete" | "malformed" {
	const window = bytes.subarray(start, start + MAX_LINE);
	const newline = window.indexOf(0x0a);
	if (newline < 0) return window.length >= MAX_LINE ? "malformed" : "incomplete";
	if (newline === 0 || window[newline - 1] !== 0x0d) return "malformed";
	const line = window.toString("latin1", 0, newline - 1);
	return /[\r\0]/.test(line) ? "malformed" : line;
}

/** The same payload framed by us: chunk extensions and trailers of the sender are gone. */
export function chunkOf(data: readonly Buffer[]): Buffer {
	const size = data.reduce((total, part) => total + part.length, 0);
	return Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`, "latin1"), ...data, Buffer.from("\r\n", "latin1")]);
}

export const LAST_CHUNK = "0\r\n\r\n";
