import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline, type Readable, Transform } from "node:stream";
import { blobFailures } from "./failures.ts";

/** Bytes named by their SHA-256, lower-case hex: diffs, attachments, receipts. What is put is durable when `put` returns. */
export interface BlobStore {
	put(bytes: Uint8Array): Promise<string>;
	/** Undefined when there is none. The bytes are what the digest names, or reading fails. */
	read(digest: string): Promise<Buffer | undefined>;
	open(digest: string): Promise<{ readonly stream: Readable; readonly sizeBytes: number } | undefined>;
	remove(digest: string): Promise<void>;
	/** Blobs apart from these: what is removed there is not removed here. */
	below(name: string): BlobStore;
}

const DIGEST = /^[0-9a-f]{64}$/;

/**
 * The same stream, which fails before its last bytes when they are not what the digest names: whoever reads it sees it cut off,
 * also who was told how many there are.
 */
export function checked(source: Readable, digest: string, damaged: () => Error): Readable {
	const hash = createHash("sha256");
	let last: Buffer | undefined;
	const check = new Transform({
		transform: (chunk: Buffer, _encoding, done) => {
			hash.update(chunk);
			const before = last;
			last = chunk;
			done(null, before);
		},
		flush: (done) => (hash.digest("hex") === digest ? done(null, last) : done(damaged())),
	});
	pipeline(source, check, () => {});
	return check;
}

export class DirectoryBlobs implements BlobStore {
	readonly #directory: string;

	constructor(directory: string) {
		this.#directory = directory;
	}

	async put(bytes: Uint8Array): Promise<string> {
		const digest = createHash("sha256").update(bytes).digest("hex");
		const path = this.#pathOf(digest);
		if ((await sizeOf(path)) !== undefined) return digest;
		await mkdir(dirname(path), { recursive: true, mode: 0o700 });
		const temporary = `${path}.${randomBytes(8).toString("hex")}`;
		try {
			const file = await open(temporary, "wx", 0o600);
			await file.writeFile(bytes);
			await file.sync();
			await file.close();
			await rename(temporary, path);
		} catch (error) {
			await rm(temporary, { force: true });
			throw error;
		}
		const folder = await open(dirname(path), "r");
		await folder.sync();
		await folder.close();
		return digest;
	}

	async read(digest: string): Promise<Buffer | undefined> {
		const bytes = await readFile(this.#pathOf(digest)).catch(() => undefined);
		if (bytes === undefined) return undefined;
		const found = createHash("sha256").update(bytes).digest("hex");
		if (found !== digest) throw this.#damaged(digest);
		return bytes;
	}

	async open(digest: string): Promise<{ stream: Readable; sizeBytes: number } | undefined> {
		const path = this.#pathOf(digest);
		const sizeBytes = await sizeOf(path);
		if (sizeBytes === undefined) return undefined;
		return { stream: checked(createReadStream(path), digest, () => this.#damaged(digest)), sizeBytes };
	}

	async remove(digest: string): Promise<void> {
		await rm(this.#pathOf(digest), { force: true });
	}

	below(name: string): BlobStore {
		return new DirectoryBlobs(join(this.#directory, name));
	}

	#damaged(digest: string): Error {
		return blobFailures.fail("blob-damaged", { digest, place: this.#directory });
	}

	#pathOf(digest: string): string {
		if (!DIGEST.test(digest)) throw new TypeError("not a digest");
		return join(this.#directory, digest.slice(0, 2), digest);
	}
}

async function sizeOf(path: string): Promise<number | undefined> {
	return (await stat(path).catch(() => undefined))?.size;
}
