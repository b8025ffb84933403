/**
 * File names are bytes, receipts are text. Inside this folder a path is a "raw" string with one character per byte
 * (latin1), so that sorting it sorts bytes and nothing is lost. Outside it is its printable form: UTF-8 as it is, and
 * `\xhh` for each byte that is not valid UTF-8, that a terminal would obey or hide, or that is a backslash.
 */

const PLAIN = /^[ -[\]-~]*$/;
/** Controls, formats (such as the bidirectional overrides), private and unassigned characters, line separators. */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\\]/u;
const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Printable form of a raw path. One to one: `rawOfPath` gives the same bytes back. */
export function printablePath(raw: string): string {
	if (PLAIN.test(raw)) return raw;
	const bytes = Buffer.from(raw, "latin1");
	let text = "";
	for (let offset = 0; offset < bytes.length; ) {
		const character = characterAt(bytes, offset);
		const size = character === undefined ? 1 : Buffer.byteLength(character);
		text +=
			character !== undefined && !HIDDEN.test(character) ? character : escaped(bytes.subarray(offset, offset + size));
		offset += size;
	}
	return text;
}

/** The raw path that a printable form stands for. */
export function rawOfPath(printable: string): string {
	if (PLAIN.test(printable)) return printable;
	return Buffer.from(printable, "utf8")
		.toString("latin1")
		.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** What `node:fs` takes for a raw path. A string would be encoded as UTF-8 once more, so bytes above 127 go as a Buffer. */
export function systemPath(raw: string): string | Buffer {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is "every ASCII byte", for speed on plain names.
	return /^[\x00-\x7f]*$/.test(raw) ? raw : Buffer.from(raw, "latin1");
}

/** Raw form of a path that came as text, such as a command line argument. */
export function rawOfText(path: string): string {
	return Buffer.from(path, "utf8").toString("latin1");
}

function characterAt(bytes: Buffer, offset: number): string | undefined {
	const lead = bytes[offset] ?? 0;
	const size = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	try {
		return utf8Decoder.decode(bytes.subarray(offset, offset + size));
	} catch {
		return undefined;
	}
}

function escaped(bytes: Buffer): string {
	return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}
