/** Strict text forms of bytes. Every parser here accepts exactly one spelling of a value, so signed text has no twin. */

const utf8Encoder = new TextEncoder();

/** UTF-8 bytes of a string; lone surrogates become U+FFFD as the Encoding Standard says. */
export function utf8(text: string): Uint8Array {
	return utf8Encoder.encode(text);
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
	const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
	let offset = 0;
	for (const part of parts) {
		whole.set(part, offset);
		offset += part.length;
	}
	return whole;
}

/** Equality of public bytes. For secrets use `timingSafeEqual` of node:crypto. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
	return Buffer.compare(left, right) === 0;
}

/** Standard base64 with padding, RFC 4648 section 4. */
export function toBase64(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

/** The bytes of canonical standard base64, or undefined: missing padding, spaces and non-zero spare bits are refused. */
export function bytesFromBase64(text: string): Uint8Array | undefined {
	const bytes = Buffer.from(text, "base64");
	return bytes.toString("base64") === text ? new Uint8Array(bytes) : undefined;
}

/** The bytes of lower-case hexadecimal, or undefined. */
export function bytesFromHex(text: string): Uint8Array | undefined {
	return /^(?:[0-9a-f]{2})*$/.test(text) ? new Uint8Array(Buffer.from(text, "hex")) : undefined;
}
