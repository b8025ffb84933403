import { printablePath } from "../../../../host/index.ts";
import { rawOf } from "../raw-text.ts";
import { Refusal } from "../source.ts";
import type { Xattr } from "../tree.ts";
import { BLOCK, parseHeader, type TarHeader } from "./header.ts";
import { isHarmlessGlobal, type PaxRecords, parsePax } from "./pax.ts";

export type TarKind = "file" | "directory" | "symlink" | "hardlink" | "character-device" | "block-device" | "fifo";

export interface TarEntry {
	/** Raw, as the archive has it: not checked, not split. */
	readonly path: string;
	readonly kind: TarKind;
	/** Raw; empty unless it is a link. */
	readonly link: string;
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
	readonly major: number;
	readonly minor: number;
	readonly xattrs: readonly Xattr[];
	readonly sizeBytes: number;
	/** Of its contents in the archive. */
	readonly offset: number;
}

const KINDS: Readonly<Record<string, TarKind>> = {
	"0": "file",
	"\0": "file",
	"7": "file",
	"1": "hardlink",
	"2": "symlink",
	"3": "character-device",
	"4": "block-device",
	"5": "directory",
	"6": "fifo",
};
const [PAX_NEXT, PAX_GLOBAL, GNU_PATH, GNU_LINK, GNU_SPARSE] = ["x", "g", "L", "K", "S"];
/** Of one extended header: 64 KiB is the most that one xattr holds. */
const MAX_METADATA_BYTES = 1 << 20;

type State =
	| { readonly at: "header" }
	| { readonly at: "contents"; left: number }
	| { readonly at: "metadata"; readonly header: TarHeader; readonly bytes: Buffer; filled: number; padding: number }
	| { readonly at: "end" };

/**
 * Reads an archive as it comes, in any pieces: gives each entry when its header has come, and looks at no contents. Strict:
 * what two readers could read differently is refused. Throws Refusal.
 */
export class TarReader {
	readonly #onEntry: (entry: TarEntry) => void;
	readonly #partial = Buffer.alloc(BLOCK);
	#partialBytes = 0;
	#state: State = { at: "header" };
	/** Bytes of the archive that were looked at. */
	#position = 0;
	#last = "its first entry";
	#pax: PaxRecords | undefined;
	#longPath: string | undefined;
	#longLink: string | undefined;

	constructor(onEntry: (entry: TarEntry) => void) {
		this.#onEntry = onEntry;
	}

	push(chunk: Buffer): void {
		for (let at = 0; at < chunk.length; ) {
			const took = this.#take(chunk, at);
			at += took;
			this.#position += took;
		}
	}

	/** Bytes of contents that come next, which `skip` may leave out. */
	get skippableBytes(): number {
		return this.#state.at === "contents" ? this.#state.left : 0;
	}

	/** Goes on as if that many bytes of contents had come; says how many. */
	skip(bytes: number): number {
		const state = this.#state;
		if (state.at !== "contents" || bytes > state.left) throw new RangeError("only contents can be skipped");
		state.left -= bytes;
		this.#position += bytes;
		if (state.left === 0) this.#state = { at: "header" };
		return bytes;
	}

	/** Nothing more comes. */
	end(): void {
		const whole = this.#state.at === "end" || (this.#state.at === "header" && this.#partialBytes === 0);
		if (!whole) throw new Refusal(this.#last, "the archive ends in the middle of it");
		if (this.#hasPending())
			throw new Refusal(this.#last, "the archive ends after a header that speaks of an entry to come");
	}

	#take(chunk: Buffer, at: number): number {
		const state = this.#state;
		const there = chunk.length - at;
		switch (state.at) {
			case "header":
				return this.#takeHeader(chunk, at);
			case "contents": {
				const took = Math.min(there, state.left);
				state.left -= took;
				if (state.left === 0) this.#state = { at: "header" };
				return took;
			}
			case "metadata":
				return this.#takeMetadata(state, chunk, at);
			case "end":
				if (!isZero(chunk, at)) throw new Refusal(this.#last, "something follows the end of the archive");
				return there;
		}
	}

	#takeHeader(chunk: Buffer, at: number): number {
		const there = chunk.length - at;
		if (this.#partialBytes === 0 && there >= BLOCK) {
			this.#handle(parseHeader(chunk, at), this.#position + BLOCK);
			return BLOCK;
		}
		const took = Math.min(there, BLOCK - this.#partialBytes);
		chunk.copy(this.#partial, this.#partialBytes, at, at + took);
		this.#partialBytes += took;
		if (this.#partialBytes === BLOCK) {
			this.#partialBytes = 0;
			this.#handle(parseHeader(this.#partial, 0), this.#position + took);
		}
		return took;
	}

	#takeMetadata(state: Extract<State, { at: "metadata" }>, chunk: Buffer, at: number): number {
		const there = chunk.length - at;
		const body = Math.min(there, state.bytes.length - state.filled);
		chunk.copy(state.bytes, state.filled, at, at + body);
		state.filled += body;
		const padding = state.filled === state.bytes.length ? Math.min(there - body, state.padding) : 0;
		state.padding -= padding;
		if (state.filled === state.bytes.length && state.padding === 0) {
			this.#state = { at: "header" };
			this.#keep(state.header, state.bytes);
		}
		return body + padding;
	}

	/** `next` is the position after the header. */
	#handle(header: TarHeader | undefined, next: number): void {
		if (header === undefined) {
			if (this.#hasPending())
				throw new Refusal(this.#last, "the archive ends after a header that speaks of an entry to come");
			this.#state = { at: "end" };
			return;
		}
		if ([PAX_NEXT, PAX_GLOBAL, GNU_PATH, GNU_LINK].includes(header.type)) {
			this.#startMetadata(header);
			return;
		}
		const entry = this.#entry(header, next);
		this.#last = printablePath(entry.path);
		const left = padded(entry.sizeBytes);
		this.#state = left === 0 ? { at: "header" } : { at: "contents", left };
		this.#onEntry(entry);
	}

	#startMetadata(header: TarHeader): void {
		const size = header.sizeBytes;
		if (size === 0 || size > MAX_METADATA_BYTES) {
			throw new Refusal(printablePath(header.path), `its extended header has ${size} bytes`);
		}
		this.#state = { at: "metadata", header, bytes: Buffer.alloc(size), filled: 0, padding: padded(size) - size };
	}

	#keep(header: TarHeader, bytes: Buffer): void {
		const shown = printablePath(header.path);
		if (header.type === GNU_PATH || header.type === GNU_LINK) {
			const nul = bytes.indexOf(0);
			const text = rawOf(nul === -1 ? bytes : bytes.subarray(0, nul));
			if (text === "") throw new Refusal(shown, "its long name is empty");
			const twice = header.type === GNU_PATH ? this.#longPath : this.#longLink;
			if (twice !== undefined) throw new Refusal(shown, "it has two long names");
			if (header.type === GNU_PATH) this.#longPath = text;
			else this.#longLink = text;
			return;
		}
		const records = parsePax(bytes);
		if ("refused" in records) throw new Refusal(shown, records.refused);
		if (header.type === PAX_GLOBAL) {
			if (!isHarmlessGlobal(records)) throw new Refusal(shown, "a global header would change all entries after it");
			return;
		}
		if (this.#pax !== undefined) throw new Refusal(shown, "it has two extended headers");
		this.#pax = records;
	}

	#hasPending(): boolean {
		return this.#pax !== undefined || this.#longPath !== undefined || this.#longLink !== undefined;
	}

	#entry(header: TarHeader, offset: number): TarEntry {
		const pax = this.#pax;
		const path = pax?.path ?? this.#longPath ?? header.path;
		const link = pax?.link ?? this.#longLink ?? header.link;
		[this.#pax, this.#longPath, this.#longLink] = [undefined, undefined, undefined];
		const shown = printablePath(path);
		if (header.type === GNU_SPARSE) throw new Refusal(shown, "it is a sparse file, which can claim any size");
		const named = KINDS[header.type];
		if (named === undefined)
			throw new Refusal(shown, `it is of a type that is not known: ${JSON.stringify(header.type)}`);
		// Before POSIX a folder was a file whose name ends so.
		const kind = named === "file" && path.endsWith("/") ? "directory" : named;
		const sizeBytes = pax?.sizeBytes ?? header.sizeBytes;
		if (kind !== "file" && sizeBytes !== 0) {
			throw new Refusal(shown, `it claims ${sizeBytes} bytes of contents, which a ${kind} has not`);
		}
		return {
			path,
			kind,
			link: kind === "symlink" || kind === "hardlink" ? link : "",
			mode: header.mode,
			uid: pax?.uid ?? header.uid,
			gid: pax?.gid ?? header.gid,
			major: header.major,
			minor: header.minor,
			xattrs: pax === undefined ? [] : [...pax.xattrs.values()],
			sizeBytes,
			offset,
		};
	}
}

function padded(bytes: number): number {
	return Math.ceil(bytes / BLOCK) * BLOCK;
}

const ZEROS = Buffer.alloc(1 << 16);

function isZero(chunk: Buffer, from: number): boolean {
	for (let at = from; at < chunk.length; at += ZEROS.length) {
		const end = Math.min(chunk.length, at + ZEROS.length);
		if (chunk.compare(ZEROS, 0, end - at, at, end) !== 0) return false;
	}
	return true;
}
