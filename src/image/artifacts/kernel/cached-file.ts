import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Digest } from "../../../core/index.ts";

/** Digest of a file's bytes, or undefined when there is no such file. */
export async function digestOfFile(path: string, signal?: AbortSignal): Promise<Digest | undefined> {
	const hash = createHash("sha256");
	try {
		for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal })) hash.update(chunk as Buffer);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
		throw error;
	}
	return `sha256:${hash.digest("hex")}` as Digest;
}

/** Copies a file that others may still write to, and says what was copied: nobody can change it between look and use. */
export async function copyWithDigest(
	from: string,
	to: string,
	signal?: AbortSignal,
): Promise<{ readonly digest: Digest; readonly sizeBytes: number }> {
	const hash = createHash("sha256");
	let sizeBytes = 0;
	const look = new Transform({
		transform(chunk: Buffer, _encoding, done) {
			hash.update(chunk);
			sizeBytes += chunk.length;
			done(null, chunk);
		},
	});
	const target = createWriteStream(to, { flags: "wx", mode: 0o644 });
	await pipeline(
		createReadStream(from, { highWaterMark: 1 << 20 }),
		look,
		target,
		signal === undefined ? {} : { signal },
	);
	await syncFile(to);
	return { digest: `sha256:${hash.digest("hex")}` as Digest, sizeBytes };
}

/** On the disk before its name is: a crash must not leave an empty file under a good name. */
export async function syncFile(path: string): Promise<void> {
	await using file = await open(path, "r");
	await file.sync();
}
