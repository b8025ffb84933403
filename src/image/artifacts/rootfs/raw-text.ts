import { isAscii, isUtf8 } from "node:buffer";

/** Raw text: one character for each byte. `printablePath` of src/host is for people. */
export function rawOf(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

export function bytesOf(raw: string): Buffer {
	return Buffer.from(raw, "latin1");
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is "every ASCII byte".
const ASCII = /^[\x00-\x7f]*$/;

export function isRawUtf8(raw: string): boolean {
	return ASCII.test(raw) || isUtf8(bytesOf(raw));
}

/** What node:fs takes for a raw path: a string would be encoded once more. */
export function systemPathOf(raw: string): string | Buffer {
	return ASCII.test(raw) ? raw : bytesOf(raw);
}

/** Raw form of text that came as such, like a path of the command line. */
export function rawOfText(text: string): string {
	const bytes = Buffer.from(text, "utf8");
	return isAscii(bytes) ? text : bytes.toString("latin1");
}
