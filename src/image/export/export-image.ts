import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { chmod, link, lstat, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { reasonOf, VouchError } from "../../core/index.ts";
import type { ImageStore, StoredImage } from "../store/index.ts";
import { descriptorOf, type Piece, partFileName, writeArtifact, writeIndex } from "./artifact.ts";
import { fail } from "./failures.ts";
import { ForeignImage, PART_NAMES } from "./image-document.ts";
import { packLayout } from "./layout-archive.ts";
import { assemblePart, readPieces } from "./pieces.ts";

/** image.json and one file for each part; an OCI layout; a tar of that layout. */
export const EXPORT_FORMS = ["folder", "oci-layout", "oci-archive"] as const;
export type ExportForm = (typeof EXPORT_FORMS)[number];

export interface ExportOptions {
	readonly store: ImageStore;
	readonly form: ExportForm;
	/** Must not exist; its folder must. */
	readonly path: string;
	/** What the image is called in an OCI layout. */
	readonly name?: string;
	readonly signal?: AbortSignal;
	readonly progress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * Writes an image where a person wants it: whole, or nothing at all. Every byte is checked on the way out.
 * Throws VouchError `image-export-exists`, `image-export-failed`, `image-foreign`.
 */
export async function exportImage(image: StoredImage, options: ExportOptions): Promise<void> {
	const path = resolve(options.path);
	if ((await lstat(path).catch(() => undefined)) !== undefined) throw fail("image-export-exists", { path });
	// Beside its place, so that it can be moved there.
	const work = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString("hex")}.partial`);
	try {
		await mkdir(work, { mode: 0o755 });
	} catch (error) {
		throw fail("image-export-failed", { path, reason: reasonOf(error) }, error);
	}
	// From here on the folder is ours, and goes again whatever happens.
	try {
		const made = join(work, "made");
		await write(image, made, work, options);
		options.signal?.throwIfAborted();
		await moveTo(made, path, options.form);
	} catch (error) {
		if (error instanceof VouchError || options.signal?.aborted === true) throw error;
		if (error instanceof ForeignImage) {
			throw fail("image-foreign", { source: `the image ${image.digest} in the store`, reason: error.message }, error);
		}
		if ((error as NodeJS.ErrnoException).code === "EEXIST") throw fail("image-export-exists", { path }, error);
		throw fail("image-export-failed", { path, reason: reasonOf(error) }, error);
	} finally {
		await rm(work, { recursive: true, force: true });
	}
}

async function write(image: StoredImage, made: string, work: string, options: ExportOptions): Promise<void> {
	const bytes = new Counter(image, options.progress);
	switch (options.form) {
		case "folder":
			return writeFolder(image, made, options, bytes);
		case "oci-layout":
			return writeLayout(image, made, options, bytes);
		case "oci-archive": {
			const layout = join(work, "layout");
			await writeLayout(image, layout, options, bytes);
			const { signal } = options;
			return pipeline(packLayout(layout), createWriteStream(made, { mode: 0o644 }), { ...(signal && { signal }) });
		}
	}
}

class Counter {
	readonly #progress: ExportOptions["progress"];
	readonly #totalBytes: number;
	#doneBytes = 0;

	constructor({ manifest }: StoredImage, progress: ExportOptions["progress"]) {
		this.#progress = progress;
		this.#totalBytes = Object.values(manifest.parts).reduce((sum, { size }) => sum + size, 0);
	}

	add(bytes: number): void {
		this.#doneBytes += bytes;
		this.#progress?.(this.#doneBytes, this.#totalBytes);
	}
}

async function writeFolder(
	{ digest, manifest, files }: StoredImage,
	made: string,
	{ store, signal }: ExportOptions,
	counter: Counter,
): Promise<void> {
	await mkdir(made, { mode: 0o755 });
	await writeFile(join(made, "image.json"), await store.manifestBytes(digest), { mode: 0o644 });
	for (const part of PART_NAMES) {
		const target = join(made, partFileName(part));
		const stored = [{ path: files[part], compression: "none" as const }];
		await assemblePart(part, manifest.parts[part], stored, target, { signal, onBytes: (bytes) => counter.add(bytes) });
		await chmod(target, 0o644);
	}
}

/** The same manifest and layers as `push` makes: what is exported can be copied into a registry by any OCI program. */
async function writeLayout(
	{ digest, manifest, files }: StoredImage,
	made: string,
	{ store, signal, name }: ExportOptions,
	counter: Counter,
): Promise<void> {
	const blobs = join(made, "blobs", "sha256");
	await mkdir(blobs, { recursive: true, mode: 0o755 });
	const put = (of: string, bytes: Uint8Array) =>
		writeFile(join(blobs, of.slice("sha256:".length)), bytes, { mode: 0o644 });
	const document = await store.manifestBytes(digest);
	await put(digest, document);
	const pieces: Piece[] = [];
	for (const part of PART_NAMES) {
		for await (const { piece, bytes, plainBytes } of readPieces(part, manifest.parts[part], files[part])) {
			signal?.throwIfAborted();
			pieces.push(piece);
			await put(piece.digest, bytes);
			counter.add(plainBytes);
		}
	}
	const artifact = writeArtifact({ config: { digest, size: document.length }, pieces });
	const descriptor = descriptorOf(artifact);
	await put(descriptor.digest, artifact);
	const index = writeIndex([{ ...descriptor, platform: manifest.platform, name: name ?? null }]);
	await writeFile(join(made, "index.json"), index, { mode: 0o644 });
	await writeFile(join(made, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}', { mode: 0o644 });
}

/** Never over something that came there meanwhile: rename(2) would replace a file, and an empty folder. */
async function moveTo(made: string, path: string, form: ExportForm): Promise<void> {
	if (form === "oci-archive") {
		// Where the file system has no hard links, the look at the start must do.
		return link(made, path).catch((error: NodeJS.ErrnoException) => {
			if (error.code === "EPERM" || error.code === "EOPNOTSUPP") return rename(made, path);
			throw error;
		});
	}
	await mkdir(path, { mode: 0o755 });
	await rename(made, path);
}
