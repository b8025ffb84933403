import { rawOf } from "../raw-text.ts";
import type { Xattr } from "../tree.ts";

/** What the extended headers of POSIX.1-2001 say of the entry that follows, as far as it matters here. */
export interface PaxRecords {
	/** Raw. */
	path?: string;
	link?: string;
	sizeBytes?: number;
	uid?: number;
	gid?: number;
	/** By name; those of `SCHILY.xattr.` win over `LIBARCHIVE.xattr.`, which say the same in another spelling. */
	readonly xattrs: Map<string, Xattr>;
}

const SCHILY = "SCHILY.xattr.";
const LIBARCHIVE = "LIBARCHIVE.xattr.";
const NUMBERS: Readonly<Record<string, "sizeBytes" | "uid" | "gid">> = { size: "sizeBytes", uid: "uid", gid: "gid" };

/** The records of an extended header, or what is wrong with them. Values are bytes: an xattr may hold any. */
export function parsePax(bytes: Buffer): PaxRecords | { readonly refused: string } {
	const records: PaxRecords = { xattrs: new Map() };
	const fallbacks = new Map<string, Xattr>();
	for (let at = 0; at < bytes.length; ) {
		const record = recordAt(bytes, at);
		if (record === undefined) return { refused: "its extended header is damaged" };
		const { key, value } = record;
		at = record.end;
		const number = NUMBERS[key];
		if (key === "path" || key === "linkpath") {
			if (value.length === 0 || value.includes(0)) return { refused: `its extended header has an impossible ${key}` };
			records[key === "path" ? "path" : "link"] = rawOf(value);
		} else if (number !== undefined) {
			const parsed = decimalOf(value);
			if (parsed === undefined) return { refused: `its extended header has an impossible ${key}` };
			records[number] = parsed;
		} else if (key.startsWith(SCHILY)) {
			const name = key.slice(SCHILY.length);
			records.xattrs.set(name, { name, value });
		} else if (key.startsWith(LIBARCHIVE)) {
			const xattr = libarchiveXattr(key.slice(LIBARCHIVE.length), value);
			if (xattr === undefined) return { refused: `its extended header has an impossible ${key}` };
			fallbacks.set(xattr.name, xattr);
		} else if (key.startsWith("GNU.sparse.") || key === "SCHILY.realsize") {
			return { refused: "it is a sparse file, which can claim any size" };
		}
	}
	for (const [name, xattr] of fallbacks) if (!records.xattrs.has(name)) records.xattrs.set(name, xattr);
	return records;
}

/** Keys of a global header that would change entries to come; tools write none of them there. */
export function isHarmlessGlobal(records: PaxRecords): boolean {
	return Object.keys(records).length === 1 && records.xattrs.size === 0;
}

const LONGEST_LENGTH = 9;

/** "LENGTH KEY=VALUE\n", where LENGTH counts the whole record. */
function recordAt(
	bytes: Buffer,
	at: number,
): { readonly key: string; readonly value: Buffer; readonly end: number } | undefined {
	const space = bytes.indexOf(0x20, at);
	if (space === -1 || space === at || space - at > LONGEST_LENGTH) return undefined;
	const length = decimalOf(bytes.subarray(at, space));
	if (length === undefined) return undefined;
	const end = at + length;
	const equals = bytes.indexOf(0x3d, space);
	if (end > bytes.length || equals === -1 || equals >= end || equals === space + 1) return undefined;
	if (bytes[end - 1] !== 0x0a || equals + 1 > end - 1) return undefined;
	return {
		key: rawOf(bytes.subarray(space + 1, equals)),
		value: Buffer.from(bytes.subarray(equals + 1, end - 1)),
		end,
	};
}

function decimalOf(bytes: Buffer): number | undefined {
	const text = rawOf(bytes);
	const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
	return Number.isSafeInteger(value) ? value : undefined;
}

/** libarchive writes the name with URL escapes and the value in base64 without padding. */
function libarchiveXattr(escaped: string, value: Buffer): Xattr | undefined {
	const name = escaped.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
	const text = rawOf(value);
	return /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? { name, value: Buffer.from(text, "base64") } : undefined;
}
