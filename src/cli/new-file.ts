import { createHash, randomBytes } from "node:crypto";
import { constants, copyFile, link, lstat, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Digest, hexOfDigest } from "../core/index.ts";

/** What bytes must be. */
export interface Expected {
	readonly digest: Digest;
	readonly bytes: number;
}

const NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Writes bytes as they come to a file that is not there yet. It has its name when all of them are there and are what was expected:
 * not before, and not when that fails. Throws an Error that says why.
 */
export async function writeNewFile(path: string, source: AsyncIterable<Uint8Array>, expected: Expected): Promise<void> {
	const there = new Error(`${path} is there already`);
	if (await isThere(path)) throw there;
	const temporary = join(dirname(path), `.vouch-${randomBytes(6).toString("hex")}.part`);
	const file = await open(temporary, NEW, 0o666);
	try {
		await pipeline(checked(source, expected), file.createWriteStream({ flush: true }));
		// Unlike a rename, neither takes the place of a file that came meanwhile. Not every file system has links.
		await link(temporary, path).catch(() => copyFile(temporary, path, constants.COPYFILE_EXCL));
	} catch (error) {
		throw (error as NodeJS.ErrnoException).code === "EEXIST" ? there : error;
	} finally {
		await rm(temporary, { force: true });
	}
}

async function isThere(path: string): Promise<boolean> {
	return (await lstat(path).catch(() => undefined)) !== undefined;
}

/** The same bytes; more than expected are not waited for. */
async function* checked(source: AsyncIterable<Uint8Array>, { digest, bytes }: Expected): AsyncGenerator<Uint8Array> {
	const hash = createHash("sha256");
	let count = 0;
	for await (const part of source) {
		count += part.length;
		if (count > bytes) break;
		hash.update(part);
		yield part;
	}
	if (count !== bytes || hash.digest("hex") !== hexOfDigest(digest))
		throw new Error("its bytes are not what its digest names");
}
