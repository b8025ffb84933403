import { constants, createReadStream, createWriteStream } from "node:fs";
import { chmod, lutimes, mkdir, open, symlink } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Digest } from "../../../core/index.ts";
import { fail } from "../../failures.ts";
import { contextFolder, type StagedEntry } from "../../plan/index.ts";

export interface StageRequest {
	readonly source: string;
	/** The Dockerfile's path in it: a .dockerignore may be its own. Null for a named context. */
	readonly dockerfile: string | null;
	readonly contextDigest: Digest;
	/** Made here. */
	readonly target: string;
}

export interface StageOptions {
	readonly cacheDirectory: string;
	/** Seconds since 1970. */
	readonly epoch: number;
	readonly signal?: AbortSignal | undefined;
	readonly progress: (doneBytes: number, totalBytes: number) => void;
}

/**
 * Copies a context as its digest says it: without what is ignored, modes 755 and 644 alone, one time for all. Throws VouchError
 * `image-source-changed`, `image-source-unreadable`, `dockerfile-impossible`, or the signal's reason.
 */
export async function stageContext(request: StageRequest, options: StageOptions): Promise<void> {
	const { source, target } = request;
	const entries = await plannedEntries(request, options);
	const totalBytes = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
	let doneBytes = 0;
	await mkdir(target, { mode: 0o755 });
	for (const entry of entries) {
		options.signal?.throwIfAborted();
		await stageEntry(entry, join(source, entry.path), join(target, entry.path)).catch((error: unknown) => {
			throw fail("image-source-changed", { source }, error);
		});
		doneBytes += entry.sizeBytes;
		options.progress(doneBytes, totalBytes);
	}
	// Backwards: what is put into a folder changes the folder's time.
	for (const { path } of entries.toReversed()) await lutimes(join(target, path), options.epoch, options.epoch);
	await lutimes(target, options.epoch, options.epoch);
	await plannedEntries(request, options);
}

async function plannedEntries(request: StageRequest, options: StageOptions): Promise<readonly StagedEntry[]> {
	const { digest, entries } = await contextFolder(request.source, request.dockerfile, options);
	if (digest !== request.contextDigest) throw fail("image-source-changed", { source: request.source });
	return entries;
}

async function stageEntry(entry: StagedEntry, from: string, to: string): Promise<void> {
	if (entry.kind === "symlink") return symlink(entry.target ?? "", to);
	if (entry.kind === "directory") await mkdir(to);
	else {
		// Neither a link that was put there meanwhile is followed, nor a pipe waited for.
		const file = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
		await pipeline(createReadStream(from, { fd: file }), createWriteStream(to, { flags: "wx" }));
	}
	// The umask is the user's, the mode is not.
	await chmod(to, entry.mode);
}
