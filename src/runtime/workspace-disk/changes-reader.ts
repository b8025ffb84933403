import { printablePath } from "../../host/index.ts";
import { type ChangeHeader, type ChangeRecord, HEADER_BYTES, PathOrder, readHeader } from "./changes-record.ts";
import { fail } from "./failures.ts";

/** Past any of these the whole stream is refused. */
export interface ChangeLimits {
	readonly maxEntries: number;
	/** Bytes of all files together, holes counted. */
	readonly maxTotalBytes: number;
	/** Bytes of all paths together: they are held in memory. */
	readonly maxPathBytes: number;
	/** From the first byte to the last. */
	readonly receiveTimeoutMs: number;
	/** Without a byte. */
	readonly stallTimeoutMs: number;
}

export const DEFAULT_CHANGE_LIMITS: ChangeLimits = {
	maxEntries: 1_000_000,
	maxTotalBytes: 64 * 2 ** 30,
	maxPathBytes: 256 * 2 ** 20,
	receiveTimeoutMs: 30 * 60_000,
	stallTimeoutMs: 60_000,
};

/**
 * Reads a changes stream in pieces of any size. It keeps every record and hands file contents on; nothing that it was
 * given is acted on here. Throws `changes-malformed` or `changes-too-large` at the first byte that is wrong.
 */
export class ChangesReader {
	readonly records: ChangeRecord[] = [];
	readonly #limits: Pick<ChangeLimits, "maxEntries" | "maxTotalBytes" | "maxPathBytes">;
	readonly #onContents: (bytes: Buffer, offset: number) => void;
	readonly #order = new PathOrder();
	#phase: "header" | "path" | "link" | "contents" | "ended" = "header";
	#header: ChangeHeader | undefined;
	/** Bytes of the present header, path or link so far. */
	#held: Buffer[] = [];
	#heldBytes = 0;
	#wantedBytes = HEADER_BYTES;
	#path = "";
	#last = "";
	#totalBytes = 0;
	#pathBytes = 0;

	constructor(
		limits: Pick<ChangeLimits, "maxEntries" | "maxTotalBytes" | "maxPathBytes">,
		onContents: (bytes: Buffer, offset: number) => void,
	) {
		this.#limits = limits;
		this.#onContents = onContents;
	}

	/** Bytes of all files so far. */
	get totalBytes(): number {
		return this.#totalBytes;
	}

	push(chunk: Uint8Array): void {
		let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
		while (rest.length > 0) {
			if (this.#phase === "ended")
				throw fail("changes-malformed", { entry: "its end", cause: "there are bytes after the last record" });
			const part = rest.subarray(0, this.#wantedBytes - this.#heldBytes);
			rest = rest.subarray(part.length);
			this.#heldBytes += part.length;
			if (this.#phase === "contents") {
				this.#onContents(part, this.#totalBytes);
				this.#totalBytes += part.length;
			} else this.#held.push(part);
			if (this.#heldBytes === this.#wantedBytes) this.#step();
		}
	}

	/** To be called at the end of the stream. */
	finish(): void {
		if (this.#phase !== "ended")
			throw fail("changes-cut-short", { entry: this.#last === "" ? "nothing at all" : printablePath(this.#last) });
	}

	/** What was waited for is complete. */
	#step(): void {
		const [only, ...more] = this.#held;
		const bytes = more.length === 0 && only !== undefined ? only : Buffer.concat(this.#held);
		switch (this.#phase) {
			case "header":
				this.#takeHeader(readHeader(bytes, printablePath(this.#last)));
				return;
			case "path":
				this.#takePath(bytes.toString("latin1"));
				return;
			case "link":
				this.#takeLink(bytes.toString("latin1"));
				return;
			case "contents":
			case "ended":
				this.#await("header", HEADER_BYTES);
		}
	}

	#await(phase: "header" | "path" | "link" | "contents", bytes: number): void {
		this.#phase = phase;
		this.#held = [];
		this.#heldBytes = 0;
		this.#wantedBytes = bytes;
	}

	#takeHeader(header: ChangeHeader): void {
		this.#header = header;
		if (header.kind === "end") {
			this.#phase = "ended";
			return;
		}
		if (header.pathBytes === 0) {
			throw fail("changes-malformed", { entry: this.#after(), cause: "a record without a path follows" });
		}
		this.#pathBytes += header.pathBytes;
		const { maxEntries, maxPathBytes } = this.#limits;
		if (this.records.length >= maxEntries) throw this.#tooLarge(`there are more than ${maxEntries} of them`);
		if (this.#pathBytes > maxPathBytes) throw this.#tooLarge(`their paths have more than ${maxPathBytes} bytes`);
		this.#await("path", header.pathBytes);
	}

	#takePath(path: string): void {
		const header = this.#header;
		if (header === undefined || header.kind === "end") throw new TypeError("a path without a header");
		const { kind, size } = header;
		const place = this.#order.take(path, kind);
		this.#path = path;
		this.#last = path;
		if (kind === "link") {
			this.#await("link", size);
			this.records.push({ ...recordOf(header), ...place, kind, sizeBytes: 0, offset: this.#totalBytes, target: "" });
			return;
		}
		if (kind === "file" && this.#totalBytes + size > this.#limits.maxTotalBytes)
			throw this.#tooLarge(`the files have more than ${this.#limits.maxTotalBytes} bytes together`);
		this.records.push({ ...recordOf(header), ...place, kind, sizeBytes: size, offset: this.#totalBytes, target: "" });
		if (size === 0) this.#await("header", HEADER_BYTES);
		else this.#await("contents", size);
	}

	#takeLink(target: string): void {
		if (target.includes("\0"))
			throw fail("changes-malformed", { entry: printablePath(this.#path), cause: "the link holds a zero byte" });
		const record = this.records.pop();
		if (record === undefined) throw new TypeError("a link without a record");
		this.records.push({ ...record, target });
		this.#await("header", HEADER_BYTES);
	}

	#after(): string {
		return this.#last === "" ? "its start" : printablePath(this.#last);
	}

	#tooLarge(cause: string) {
		return fail("changes-too-large", { entry: this.#after(), cause });
	}
}

function recordOf({ mode, modifiedSeconds }: ChangeHeader): Pick<ChangeRecord, "mode" | "modifiedSeconds"> {
	return { mode, modifiedSeconds };
}
