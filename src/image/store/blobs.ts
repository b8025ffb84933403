import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { chmod, copyFile, lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, hexOfDigest } from "../../core/index.ts";
import { digestFromHex } from "./names.ts";

/** Files named by the SHA-256 of their contents. */
export class Blobs {
	readonly directory: string;

	constructor(directory: string) {
		this.directory = directory;
	}

	pathOf(digest: Digest): string {
		return join(this.directory, hexOfDigest(digest));
	}

	async sizeOf(digest: Digest): Promise<number | undefined> {
		const found = await lstat(this.pathOf(digest)).catch(() => undefined);
		return found?.isFile() ? found.size : undefined;
	}

	async list(): Promise<readonly Digest[]> {
		const names = await readdir(this.directory).catch(() => []);
		return names.filter((name) => /^[0-9a-f]{64}$/.test(name)).map(digestFromHex);
	}

	/**
	 * Moves a file on the same file system to its place. It is on disk before it has its name; one that is there already is
	 * replaced, which heals it should it be damaged.
	 */
	async take(path: string, digest: Digest): Promise<void> {
		await chmod(path, 0o444);
		await syncPath(path);
		await mkdir(this.directory, { recursive: true, mode: 0o755 });
		await rename(path, this.pathOf(digest));
	}

	async remove(digest: Digest): Promise<number> {
		const size = (await this.sizeOf(digest)) ?? 0;
		await rm(this.pathOf(digest), { force: true });
		return size;
	}
}

/** Puts a file or a folder's entries on disk. */
export async function syncPath(path: string): Promise<void> {
	await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
	await file.sync();
}

/** A copy that shares blocks where the file system can. */
export function copyShared(from: string, to: string): Promise<void> {
	return copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
}

export interface Measured {
	readonly digest: Digest;
	readonly sizeBytes: number;
}

/** Reads a whole file. */
export async function measureFile(
	path: string,
	options: { readonly signal?: AbortSignal | undefined; readonly onBytes?: (bytes: number) => void } = {},
): Promise<Measured> {
	const hash = createHash("sha256");
	let sizeBytes = 0;
	const stream = createReadStream(path, { highWaterMark: 1 << 20, ...(options.signal && { signal: options.signal }) });
	for await (const chunk of stream as AsyncIterable<Buffer>) {
		hash.update(chunk);
		sizeBytes += chunk.length;
		options.onBytes?.(chunk.length);
	}
	return { digest: digestFromHex(hash.digest("hex")), sizeBytes };
}
