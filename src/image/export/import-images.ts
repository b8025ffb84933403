import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, hexOfDigest, reasonOf, VouchError } from "../../core/index.ts";
import type { ImageManifest, PartName, Platform } from "../schema.ts";
import type { ImageStore, PartFile } from "../store/index.ts";
import { type IndexEntry, type Piece, partFileName, piecesOf, readArtifact, readIndex } from "./artifact.ts";
import { fail } from "./failures.ts";
import { ForeignImage, MAX_IMAGE_DOCUMENT_BYTES, PART_NAMES, readImageDocument } from "./image-document.ts";
import { unpackLayout } from "./layout-archive.ts";
import { assemblePart, openPlain } from "./pieces.ts";

export interface ImportOptions {
	readonly store: ImageStore;
	/** Only the image for this platform; default all that there are. */
	readonly platform?: Platform;
	readonly signal?: AbortSignal;
	readonly progress?: (doneBytes: number, totalBytes: number) => void;
}

export interface ImportedImage {
	readonly digest: Digest;
	readonly manifest: ImageManifest;
	/** What a layout calls it. */
	readonly name: string | null;
}

type Stored = Pick<Piece, "compression"> & { readonly path: string };

interface Found {
	readonly digest: Digest;
	readonly manifest: ImageManifest;
	readonly name: string | null;
	readonly files: Readonly<Record<PartName, readonly Stored[]>>;
}

const MAX_DOCUMENT_BYTES = 4 * 2 ** 20;

/**
 * Takes images from what `exportImage` wrote, or another program copied out of a registry, into the store. All of it is
 * checked before anything is kept. Throws VouchError `image-foreign`.
 */
export async function importImages(path: string, options: ImportOptions): Promise<readonly ImportedImage[]> {
	const scratch = await options.store.scratch();
	try {
		const found = await findImages(path, join(scratch.directory, "layout"), options);
		const wanted = found.filter(({ manifest }) => (options.platform ?? manifest.platform) === manifest.platform);
		if (wanted.length === 0) {
			const known = found.map(({ manifest }) => manifest.platform).join(", ");
			const lacking = `it has no image for ${options.platform}, only ${known}`;
			throw new ForeignImage(found.length === 0 ? "there is no image in it" : lacking);
		}
		const imported: ImportedImage[] = [];
		for (const [at, image] of wanted.entries()) {
			imported.push(await addImage(image, join(scratch.directory, String(at)), options));
		}
		return imported;
	} catch (error) {
		if (error instanceof VouchError || options.signal?.aborted === true) throw error;
		const { code } = error as NodeJS.ErrnoException;
		if (!(error instanceof ForeignImage) && code !== "ENOENT" && code !== "EACCES") throw error;
		throw fail("image-foreign", { source: path, reason: reasonOf(error) }, error);
	} finally {
		await scratch.remove();
	}
}

async function findImages(path: string, scratch: string, { signal }: ImportOptions): Promise<readonly Found[]> {
	const there = await lstat(path).catch(() => undefined);
	if (there === undefined) throw new ForeignImage("there is nothing at that path");
	if (there.isFile()) {
		await unpackLayout(path, scratch, signal);
		return readLayout(scratch);
	}
	const isThere = async (name: string) => (await lstat(join(path, name)).catch(() => undefined)) !== undefined;
	if (await isThere("oci-layout")) return readLayout(path);
	if (await isThere("image.json")) return [await readFolder(path)];
	throw new ForeignImage("it is neither a folder with an image.json, nor an OCI layout, nor a tar of one");
}

async function readFolder(path: string): Promise<Found> {
	const bytes = await readDocument(join(path, "image.json"), "image.json", MAX_IMAGE_DOCUMENT_BYTES);
	const files = eachPart((part): readonly Stored[] => [{ path: join(path, partFileName(part)), compression: "none" }]);
	return { digest: digestOf(bytes), manifest: readImageDocument(bytes), name: null, files };
}

async function readLayout(path: string): Promise<readonly Found[]> {
	await readDocument(join(path, "oci-layout"), "oci-layout", MAX_DOCUMENT_BYTES);
	const index = readIndex(await readDocument(join(path, "index.json"), "index.json", MAX_DOCUMENT_BYTES));
	const entries: IndexEntry[] = [];
	for (const entry of index) {
		if (entry.kind === "manifest") entries.push(entry);
		else {
			const nested = readIndex(await readBlob(path, entry.digest, "index"));
			entries.push(...nested.filter(({ kind }) => kind === "manifest").map((one) => ({ ...one, name: entry.name })));
		}
	}
	const found: Found[] = [];
	for (const entry of entries) found.push(await readLayoutImage(path, entry));
	return found;
}

async function readLayoutImage(path: string, { digest: artifactDigest, name }: IndexEntry): Promise<Found> {
	const artifact = readArtifact(await readBlob(path, artifactDigest, "manifest"));
	const { digest } = artifact.config;
	const manifest = readImageDocument(await readBlob(path, digest, "image.json"));
	const files = eachPart((part): readonly Stored[] =>
		piecesOf(artifact, part, manifest.parts[part]).map(({ digest: of, compression }) => ({
			path: blobPath(path, of),
			compression,
		})),
	);
	return { digest, manifest, name, files };
}

async function addImage(
	{ digest, manifest, name, files }: Found,
	scratch: string,
	{ store, signal, progress }: ImportOptions,
): Promise<ImportedImage> {
	if (await store.has(digest)) return { digest, manifest, name };
	const totalBytes = PART_NAMES.reduce((sum, part) => sum + manifest.parts[part].size, 0);
	let doneBytes = 0;
	const onBytes = (bytes: number): void => {
		doneBytes += bytes;
		progress?.(doneBytes, totalBytes);
	};
	const parts: Partial<Record<PartName, PartFile>> = {};
	for (const part of PART_NAMES) {
		const target = `${scratch}-${part}`;
		await assemblePart(part, manifest.parts[part], files[part], target, { signal, onBytes });
		parts[part] = { path: target };
	}
	await store.add(manifest, parts, signal && { signal });
	return { digest, manifest, name };
}

function eachPart<T>(of: (part: PartName) => T): Readonly<Record<PartName, T>> {
	return Object.fromEntries(PART_NAMES.map((part) => [part, of(part)])) as Record<PartName, T>;
}

function blobPath(layout: string, digest: Digest): string {
	return join(layout, "blobs", "sha256", hexOfDigest(digest));
}

async function readBlob(layout: string, digest: Digest, what: string): Promise<Uint8Array> {
	const bytes = await readDocument(blobPath(layout, digest), what, MAX_DOCUMENT_BYTES);
	if (digestOf(bytes) !== digest) throw new ForeignImage(`its ${what} is not what its digest names`);
	return bytes;
}

async function readDocument(path: string, what: string, maxBytes: number): Promise<Uint8Array> {
	await using file = await openPlain(path, what);
	const { size } = await file.stat();
	if (size > maxBytes) throw new ForeignImage(`its ${what} is too large`);
	const bytes = Buffer.alloc(size);
	const { bytesRead } = await file.read(bytes, 0, size, 0);
	return bytes.subarray(0, bytesRead);
}
