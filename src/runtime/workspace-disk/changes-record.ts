import { printablePath } from "../../host/index.ts";
import { fail } from "./failures.ts";

/** One record of a changes stream: docs/reference/guest-protocol.md, stream 5. */
export interface ChangeRecord {
	readonly kind: ChangeKind;
	/** Last part of its path, one character per byte. */
	readonly name: string;
	/** Folders above it below the workspace: 0 for an entry of the workspace itself. */
	readonly depth: number;
	readonly mode: number;
	/** Bytes of a file; 0 for the rest. */
	readonly sizeBytes: number;
	readonly modifiedSeconds: number;
	/** Where its bytes begin among the bytes of all files. */
	readonly offset: number;
	/** What a link says, one character per byte. */
	readonly target: string;
}

export type ChangeKind = "file" | "folder" | "opaque-folder" | "link" | "removed" | "skipped";

export const HEADER_BYTES = 24;
const LONGEST_NAME_BYTES = 255;
/** linux/limits.h: PATH_MAX with its NUL. */
const LONGEST_LINK_BYTES = 4095;
const KINDS: ReadonlyMap<number, ChangeKind | "end"> = new Map([
	[0x46, "file"],
	[0x44, "folder"],
	[0x4f, "opaque-folder"],
	[0x4c, "link"],
	[0x58, "removed"],
	[0x53, "skipped"],
	[0x45, "end"],
]);

export interface ChangeHeader {
	readonly kind: ChangeKind | "end";
	readonly pathBytes: number;
	readonly mode: number;
	readonly size: number;
	readonly modifiedSeconds: number;
}

/** @param after printable path of the record before it, for the reason of a refusal */
export function readHeader(bytes: Buffer, after: string): ChangeHeader {
	const refuse = (cause: string) => fail("changes-malformed", { entry: after === "" ? "its start" : after, cause });
	const kind = KINDS.get(bytes.readUInt8(0));
	if (kind === undefined) throw refuse(`a record of the unknown kind ${bytes.readUInt8(0)} follows`);
	if (bytes.readUInt8(1) !== 0) throw refuse("a reserved byte is not zero");
	const size = bytes.readBigUInt64LE(8);
	if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw refuse(`a size of ${size} bytes follows`);
	const header: ChangeHeader = {
		kind,
		pathBytes: bytes.readUInt16LE(2),
		mode: bytes.readUInt32LE(4) & 0o7777,
		size: Number(size),
		modifiedSeconds: Number(bytes.readBigInt64LE(16)) / 1e9,
	};
	if (kind === "end") {
		if (bytes.subarray(1).some((byte) => byte !== 0)) throw refuse("the record of its end is not empty");
	} else if (kind === "link") {
		if (header.size === 0 || header.size > LONGEST_LINK_BYTES) throw refuse(`a link of ${size} bytes follows`);
	} else if (kind !== "file" && header.size !== 0) throw refuse(`a record that has no contents claims ${size} bytes`);
	return header;
}

/**
 * Holds paths to their order: strictly depth first, each below folders that were named just before it, none twice. So
 * nothing can be written through what the guest itself put in the way.
 */
export class PathOrder {
	/** The folders that the last record stood in, or was: their raw paths, and the names seen in each. */
	readonly #open: { readonly path: string; readonly names: Set<string> }[] = [{ path: "", names: new Set() }];

	/** The last part of the path and the number of folders above it. */
	take(path: string, kind: ChangeKind): { name: string; depth: number } {
		const refuse = (cause: string) => fail("changes-malformed", { entry: printablePath(path), cause });
		if (path === "") throw refuse("its path is empty");
		if (path.includes("\0")) throw refuse("its path holds a zero byte");
		const parts = path.split("/");
		for (const part of parts) {
			if (part === "" || part === "." || part === "..") throw refuse("its path has an empty part, . or ..");
			if (part.length > LONGEST_NAME_BYTES) throw refuse("a part of its path is longer than 255 bytes");
		}
		const depth = parts.length - 1;
		const name = parts[depth] ?? "";
		const above = path.slice(0, Math.max(0, path.length - name.length - 1));
		const folder = this.#open[depth];
		if (folder === undefined || folder.path !== above) throw refuse("its folder was not named just before it");
		if (folder.names.has(name)) throw refuse("it is named twice");
		folder.names.add(name);
		this.#open.length = depth + 1;
		if (kind === "folder" || kind === "opaque-folder") this.#open.push({ path, names: new Set() });
		return { name, depth };
	}
}
