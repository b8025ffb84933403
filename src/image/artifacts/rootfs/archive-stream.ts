import { createHash, type Hash } from "node:crypto";
import type { Digest } from "../../../core/index.ts";
import type { Budget } from "./budget.ts";
import { chunksOf, compressionOf, DecompressionFault, decompressed } from "./compression.ts";
import { type ReadOptions, Refusal } from "./source.ts";
import { type ByteStore, Spool, type SpoolMemory } from "./stores.ts";

/** One tar archive as it is stored, and what is known of it before it is read. */
export interface StoredArchive {
	/** For people: what the store is. */
	readonly shown: string;
	readonly store: ByteStore;
	/** Of the bytes as stored, when something vouches for them. */
	readonly digest?: Digest | undefined;
	/** Of the bytes decompressed. */
	readonly contentsDigest?: Digest | undefined;
}

export interface StreamContext {
	readonly options: ReadOptions;
	readonly budget: Budget;
	readonly memory: SpoolMemory;
	/** Closes what was opened, when the tree is no longer needed. */
	readonly keep: (store: ByteStore) => void;
	readonly progress: (bytes: number) => void;
}

/** Takes the bytes of an archive as they come. */
export interface ArchiveReader {
	push(chunk: Buffer): void;
	end(): void;
}

export interface StreamedArchive {
	/** The bytes decompressed; contents point into it. */
	readonly contents: ByteStore;
	readonly digest: Digest;
}

/**
 * Reads an archive once from front to back: checks its digests, decompresses it into a spool (or leaves it where it is) and
 * hands it to the reader that `readerOf` makes. Throws Refusal.
 */
export async function streamArchive(
	archive: StoredArchive,
	context: StreamContext,
	readerOf: (contents: ByteStore) => ArchiveReader,
): Promise<StreamedArchive> {
	const { shown, store } = archive;
	const { options, budget } = context;
	const compression = compressionOf(store);
	const spool = compression === "none" ? undefined : new Spool(options.scratchDirectory, context.memory);
	if (spool !== undefined) context.keep(spool);
	const contents = spool ?? store;
	const reader = readerOf(contents);
	const stored = new CountedChunks(store, context);
	const hash = createHash("sha256");
	let bytes = 0;
	try {
		for await (const chunk of decompressed(stored.read(), compression, options)) {
			bytes += chunk.length;
			budget.countBytes(shown, chunk.length);
			budget.checkRatio(shown, stored.bytes, bytes);
			if (archive.contentsDigest !== undefined) hash.update(chunk);
			spool?.append(chunk);
			reader.push(chunk);
		}
		reader.end();
	} catch (error) {
		options.signal?.throwIfAborted();
		// Damaged bytes look like all sorts of things; that they are not the right ones says more.
		if (archive.digest !== undefined && isAboutBytes(error)) await stored.expect(archive);
		throw refusalOf(shown, error);
	}
	const digest = await stored.expect(archive);
	if (archive.contentsDigest !== undefined && digestText(hash) !== archive.contentsDigest) {
		throw new Refusal(shown, `decompressed, it has other contents than ${archive.contentsDigest}`);
	}
	return { contents, digest };
}

/** The bytes of a store, counted and hashed on their way. */
class CountedChunks {
	readonly #store: ByteStore;
	readonly #context: StreamContext;
	readonly #hash: Hash = createHash("sha256");
	bytes = 0;

	constructor(store: ByteStore, context: StreamContext) {
		this.#store = store;
		this.#context = context;
	}

	async *read(from = 0): AsyncGenerator<Buffer> {
		for await (const chunk of chunksOf(this.#store, this.#context.options.signal, from)) {
			this.#hash.update(chunk);
			this.bytes += chunk.length;
			this.#context.progress(chunk.length);
			yield chunk;
		}
	}

	/** Digest of all bytes, also of those that nobody asked for. Throws Refusal when it should be another. */
	async expect({ shown, digest }: StoredArchive): Promise<Digest> {
		for await (const _ of this.read(this.bytes));
		const found = digestText(this.#hash);
		if (digest !== undefined && found !== digest) {
			throw new Refusal(shown, "its contents are not those that its digest names");
		}
		return found;
	}
}

function digestText(hash: Hash): Digest {
	return `sha256:${hash.digest("hex")}` as Digest;
}

function isAboutBytes(error: unknown): boolean {
	return error instanceof Refusal || error instanceof DecompressionFault;
}

function refusalOf(shown: string, error: unknown): unknown {
	return error instanceof DecompressionFault ? new Refusal(shown, `it can't be decompressed: ${error.message}`) : error;
}
