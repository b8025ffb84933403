import { printablePath } from "../../../../host/index.ts";
import { rawOf } from "../raw-text.ts";
import { Refusal } from "../source.ts";

export const BLOCK = 512;

/** One 512-byte header, as POSIX.1-1988 (ustar) and GNU tar lay it out. */
export interface TarHeader {
	/** Raw, as it stands there. */
	readonly path: string;
	readonly link: string;
	/** One character. */
	readonly type: string;
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
	readonly sizeBytes: number;
	readonly major: number;
	readonly minor: number;
}

const POSIX_MAGIC = "ustar\0";
const STAR_TRAILER = "tar\0";
const STAR_PREFIX_BYTES = 131;
const PREFIX_BYTES = 155;

/** The header at an offset; undefined for a block of zeros. Throws Refusal. */
export function parseHeader(bytes: Buffer, at: number): TarHeader | undefined {
	const sum = checksumOf(bytes, at);
	if (sum === undefined) return undefined;
	const name = textAt(bytes, at, 100);
	const shown = printablePath(name);
	if (numberAt(bytes, at + 148, 8) !== sum) {
		// Neither is its name one then.
		throw new Refusal("an entry", "the checksum of its header is wrong: this is no tar archive, or a damaged one");
	}
	const type = String.fromCharCode(bytes[at + 156] ?? 0);
	// GNU tar keeps times where POSIX has the prefix, and says so by another magic.
	const posix = bytes.toString("latin1", at + 257, at + 263) === POSIX_MAGIC;
	const star = posix && bytes.toString("latin1", at + 508, at + 512) === STAR_TRAILER;
	const prefix = posix ? textAt(bytes, at + 345, star ? STAR_PREFIX_BYTES : PREFIX_BYTES) : "";
	const number = (what: string, offset: number, length: number): number => {
		const value = numberAt(bytes, at + offset, length);
		if (value === undefined) throw new Refusal(shown, `its ${what} is not a number that it can have`);
		return value;
	};
	const isDevice = type === "3" || type === "4";
	return {
		path: prefix === "" ? name : `${prefix}/${name}`,
		link: textAt(bytes, at + 157, 100),
		type,
		mode: number("mode", 100, 8) & 0o7777,
		uid: number("owner", 108, 8),
		gid: number("group", 116, 8),
		sizeBytes: number("size", 124, 12),
		major: isDevice ? number("device number", 329, 8) : 0,
		minor: isDevice ? number("device number", 337, 8) : 0,
	};
}

/** The checksum field itself counts as eight spaces. */
const BLANK_FIELD_SUM = 8 * 0x20;

/** Sum of the bytes; undefined when all of them are zero. */
function checksumOf(bytes: Buffer, at: number): number | undefined {
	let [whole, field] = [0, 0];
	for (let index = at; index < at + BLOCK; index += 1) whole += bytes[index] ?? 0;
	for (let index = at + 148; index < at + 156; index += 1) field += bytes[index] ?? 0;
	return whole === 0 ? undefined : whole - field + BLANK_FIELD_SUM;
}

/** Up to the first NUL. */
function textAt(bytes: Buffer, at: number, length: number): string {
	const nul = bytes.indexOf(0, at);
	return rawOf(bytes.subarray(at, nul === -1 || nul > at + length ? at + length : nul));
}

const BASE_256 = 0x80;
const OCTAL = /^ *([0-7]*)[ \0]*$/;

/** Octal text, or, with the top bit set, a big-endian number. Undefined when it is neither, negative, or past 2^53. */
function numberAt(bytes: Buffer, at: number, length: number): number | undefined {
	const first = bytes[at] ?? 0;
	if (first >= BASE_256) {
		// 0xff starts a negative number; in between, one that has no business here.
		let value = first === BASE_256 ? 0 : Number.NaN;
		for (let index = at + 1; index < at + length; index += 1) value = value * 256 + (bytes[index] ?? 0);
		return Number.isSafeInteger(value) ? value : undefined;
	}
	// What stands after the first NUL is not looked at, as in every other reader.
	const nul = bytes.indexOf(0, at);
	const digits = OCTAL.exec(bytes.toString("latin1", at, nul === -1 || nul > at + length ? at + length : nul))?.[1];
	return digits === undefined ? undefined : digits === "" ? 0 : Number.parseInt(digits, 8);
}
