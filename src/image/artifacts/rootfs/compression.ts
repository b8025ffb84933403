import { once } from "node:events";
import type { Transform, Writable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import type { Host } from "../../../host/index.ts";
import { fail } from "./failures.ts";
import type { ByteStore } from "./stores.ts";

export type Compression = "none" | "gzip" | "zstd" | "xz";

const MAGIC_BYTES = 6;

/** Told by the first bytes: names and media types are what somebody wrote. */
export function compressionOf(store: ByteStore): Compression {
	const bytes = Buffer.alloc(Math.min(MAGIC_BYTES, store.sizeBytes));
	store.read(bytes, 0, bytes.length, 0);
	const magic = bytes.toString("hex");
	if (magic.startsWith("1f8b")) return "gzip";
	// RFC 8878: a frame, or a skippable frame 0x184D2A50 to 5F, with which some tools begin.
	if (magic.startsWith("28b52ffd") || /^5.2a4d18/.test(magic)) return "zstd";
	return magic === "fd377a585a00" ? "xz" : "none";
}

const CHUNK_BYTES = 1 << 20;

/** All bytes of a store in order. Each piece is a buffer of its own. */
export async function* chunksOf(store: ByteStore, signal?: AbortSignal, from = 0): AsyncGenerator<Buffer> {
	for (let at = from; at < store.sizeBytes; ) {
		signal?.throwIfAborted();
		const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, store.sizeBytes - at));
		store.read(chunk, 0, chunk.length, at);
		at += chunk.length;
		yield chunk;
		await setImmediate();
	}
}

export interface DecompressOptions {
	readonly host: Host;
	readonly signal?: AbortSignal | undefined;
}

/** Room for more than one piece, so that decompressing goes on in its thread while a piece is looked at. */
const STREAM_OPTIONS = { chunkSize: CHUNK_BYTES / 2, readableHighWaterMark: 2 * CHUNK_BYTES, writableHighWaterMark: 1 };

/** What the pieces hold when decompressed, as it comes. Throws DecompressionFault, VouchError, or what the pieces throw. */
export function decompressed(
	chunks: AsyncIterable<Buffer>,
	compression: Compression,
	options: DecompressOptions,
): AsyncIterable<Buffer> {
	switch (compression) {
		case "none":
			return chunks;
		case "gzip":
			return through(createGunzip(STREAM_OPTIONS), chunks);
		case "zstd":
			return zstdFrames(chunks);
		case "xz":
			return throughXz(chunks, options);
	}
}

/** The bytes are not what the decompressor reads. */
export class DecompressionFault extends Error {}

async function* through(transform: Transform, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
	const feeding = feed(transform, chunks).catch((error: Error) => {
		transform.destroy(error);
		return error;
	});
	try {
		for await (const chunk of transform) yield chunk as Buffer;
	} catch (error) {
		throw error === (await feeding) ? error : new DecompressionFault((error as Error).message, { cause: error });
	} finally {
		// A decompressor that has seen the end of its input may not want the rest: whoever feeds it must not wait for ever.
		transform.destroy();
		await feeding;
	}
}

async function feed(into: Writable, chunks: AsyncIterable<Buffer>): Promise<undefined> {
	const closed = new Promise<void>((resolve) => into.once("close", resolve));
	for await (const chunk of chunks) {
		if (into.destroyed) return;
		if (!into.write(chunk)) await Promise.race([once(into, "drain").catch(() => {}), closed]);
	}
	into.end();
}

/**
 * Frame after frame (RFC 8878 section 3): Node's decompressor ends with the first one. Layers made for lazy loading have one
 * frame for each file.
 */
async function* zstdFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
	const source = new Leftovers(chunks);
	try {
		while (await source.hasMore()) {
			const frame = createZstdDecompress(STREAM_OPTIONS);
			source.startedBytes = 0;
			yield* through(frame, source.pieces());
			source.giveBack(source.startedBytes - frame.bytesWritten);
		}
	} finally {
		await source.close();
	}
}

/** Pieces of which the last may be given back in part. */
class Leftovers {
	readonly #source: AsyncIterator<Buffer>;
	#next: Buffer | undefined;
	#last: Buffer = Buffer.alloc(0);
	/** Bytes given out since it was set. */
	startedBytes = 0;

	constructor(chunks: AsyncIterable<Buffer>) {
		this.#source = chunks[Symbol.asyncIterator]();
	}

	async hasMore(): Promise<boolean> {
		while (this.#next === undefined || this.#next.length === 0) {
			const { value, done } = await this.#source.next();
			if (done === true) return false;
			this.#next = value;
		}
		return true;
	}

	async *pieces(): AsyncGenerator<Buffer> {
		while (await this.hasMore()) {
			this.#last = this.#next ?? this.#last;
			this.#next = undefined;
			this.startedBytes += this.#last.length;
			yield this.#last;
		}
	}

	/** The last bytes that were given out: at most those of the last piece, since one is asked for when the one before is used up. */
	giveBack(bytes: number): void {
		if (bytes > 0) this.#next = this.#last.subarray(this.#last.length - bytes);
	}

	async close(): Promise<void> {
		await this.#source.return?.();
	}
}

const XZ_MEMORY = "--memlimit-decompress=256MiB";

async function* throughXz(chunks: AsyncIterable<Buffer>, { host, signal }: DecompressOptions): AsyncGenerator<Buffer> {
	const xz = await host.findProgram("xz");
	if (xz === undefined) throw fail("rootfs-program-missing", { program: "xz", package: "xz-utils" });
	const stop = new AbortController();
	const either = AbortSignal.any([stop.signal, ...(signal === undefined ? [] : [signal])]);
	const program = host.start([xz, "--decompress", "--stdout", XZ_MEMORY], { signal: either });
	const feeding = feed(program.stdin, chunks).catch((error: Error) => {
		stop.abort();
		return error;
	});
	try {
		for await (const chunk of program.stdout) yield chunk as Buffer;
		const failed = await feeding;
		if (failed !== undefined) throw failed;
		const { exitCode, stderr } = await program.ended;
		signal?.throwIfAborted();
		if (exitCode !== 0) throw new DecompressionFault(stderr.trim() || `xz ended with ${exitCode}`);
	} finally {
		stop.abort();
		await Promise.all([program.ended, feeding]);
	}
}
