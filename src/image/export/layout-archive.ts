import { constants, createReadStream, createWriteStream } from "node:fs";
import { lstat, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Header } from "tar-stream";
import { ForeignImage } from "./image-document.ts";

/** 1980-01-01, as in images: no time of the making gets into the archive. */
const EPOCH = new Date(315_532_800_000);
const MAX_ENTRIES = 10_000;
const FILE = /^(?:\.\/)?(oci-layout|index\.json|blobs\/sha256\/[0-9a-f]{64})$/;
const FOLDER = /^(?:\.\/)?(?:blobs\/?|blobs\/sha256\/?)?$/;

/** A layout as a tar: the same layout gives the same bytes. */
export function packLayout(layout: string): Readable {
	const packed = new PassThrough();
	writeEntries(layout, packed).catch((error: Error) => packed.destroy(error));
	return packed;
}

async function writeEntries(layout: string, packed: PassThrough): Promise<void> {
	const { pack } = await import("tar-stream");
	const tar = pack();
	const piping = pipeline(tar, packed);
	piping.catch(() => {});
	const common = { mtime: EPOCH, uid: 0, gid: 0 } as const;
	// Small documents first: a reader of the stream knows what is coming.
	const blobs = (await readdir(join(layout, "blobs", "sha256"))).sort().map((name) => `blobs/sha256/${name}`);
	for (const name of ["oci-layout", "index.json", ...blobs]) {
		const { size } = await lstat(join(layout, name));
		const entry = tar.entry({ name, size, mode: 0o644, ...common });
		await pipeline(createReadStream(join(layout, name)), entry);
	}
	tar.finalize();
	await piping;
}

/**
 * Unpacks the tar of a layout: files by exactly the names that a layout has, each once, nothing else. A plain tar holds no
 * more than its own size, so there is nothing to blow up. Throws ForeignImage.
 */
export async function unpackLayout(archive: string, target: string, signal: AbortSignal | undefined): Promise<void> {
	await mkdir(join(target, "blobs", "sha256"), { recursive: true, mode: 0o700 });
	const { extract } = await import("tar-stream");
	const unpacker = extract();
	const stored = createReadStream(archive, { highWaterMark: 2 ** 20 });
	const reading = pipeline(stored, unpacker, { ...(signal && { signal }) });
	reading.catch(() => {});
	const seen = new Set<string>();
	try {
		let entries = 0;
		for await (const entry of unpacker) {
			entries += 1;
			if (entries > MAX_ENTRIES) throw new ForeignImage("it has too many entries");
			const name = nameOf(entry.header);
			if (name !== undefined) {
				if (seen.has(name)) throw new ForeignImage(`it has ${name} twice`);
				seen.add(name);
				const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
				const file = createWriteStream(join(target, name), { flags: flags as unknown as string, mode: 0o600 });
				await pipeline(entry, file);
			}
			entry.resume();
		}
		await reading;
	} catch (error) {
		const isOwn = error instanceof ForeignImage || (error as NodeJS.ErrnoException).syscall !== undefined;
		if (isOwn || signal?.aborted === true) throw error;
		throw new ForeignImage("it is not a plain tar file, or not a whole one", { cause: error });
	} finally {
		unpacker.destroy();
	}
}

/** Undefined for a folder, which is there anyway. */
function nameOf({ name, type }: Header): string | undefined {
	if (type === "directory" && FOLDER.test(name)) return undefined;
	const shown = JSON.stringify(name.slice(0, 100));
	const file = FILE.exec(name)?.[1];
	if (file === undefined) throw new ForeignImage(`it has an entry that no OCI layout has: ${shown}`);
	if (type !== "file" && type !== "contiguous-file") {
		throw new ForeignImage(`its entry ${shown} is not a file (${String(type)})`);
	}
	return file;
}
