import type { Digest } from "../../core/index.ts";
import type { ImageManifest, Part, PartName, Platform } from "../schema.ts";
import type { Scratch } from "../scratch/index.ts";

/**
 * Images of one user, named by content. Below its folder:
 *
 *     blobs/sha256/HEX   every part and every image.json, 0444
 *     images/HEX         an empty file for each whole image: written last, so an image is there or it isn't
 *     names/NAME@linux-amd64   the digest and a newline
 *     tmp-…              work in progress, see ../scratch
 */
export interface ImageStore {
	readonly directory: string;
	/**
	 * The image of a name, `name@linux/riscv64`, `sha256:…`, or at least 8 hex digits that begin one digest. Without a platform
	 * a name means this machine's, else the only one it has. Throws VouchError `image-ambiguous`, `image-damaged`.
	 */
	resolve(reference: string, platform?: Platform): Promise<StoredImage | undefined>;
	/** By name, then platform; images without a name last. */
	list(): Promise<readonly NamedImage[]>;
	/** Throws VouchError `image-unknown` or `image-damaged`. */
	read(digest: Digest): Promise<ImageManifest>;
	/** Whether image.json and every part are there with their sizes. Reads no contents. */
	has(digest: Digest): Promise<boolean>;
	/** Whether that part is there with its size, of whatever image. */
	hasPart(part: Part): Promise<boolean>;
	pathOf(part: Part): string;
	/** Bytes of image.json, exactly those that the digest names. */
	manifestBytes(digest: Digest): Promise<Uint8Array>;
	/**
	 * Adds an image. Files in a scratch folder of this store are moved, others copied; a part that is left out must be here
	 * already. Every byte is checked against the manifest. Throws VouchError `image-part-wrong`, `image-store-busy`.
	 */
	add(manifest: ImageManifest, parts: Partial<Record<PartName, PartFile>>, options?: Cancel): Promise<Digest>;
	/** Lets a name mean this image on its platform. Throws VouchError `image-name-invalid`, `image-unknown`. */
	name(name: string, digest: Digest): Promise<void>;
	/** Takes a name away; false when it wasn't there. */
	unname(name: string, platform: Platform): Promise<boolean>;
	/** Removes an image, its names, and the parts that no other image has. */
	remove(digest: Digest): Promise<Removal>;
	/** Removes images without a name, and parts of no image, that are older than `olderThanMs`. */
	prune(options: PruneOptions): Promise<Removal>;
	/** Recomputes the digest of image.json and of every part; none means that all are as named. */
	verify(digest: Digest, options?: VerifyOptions): Promise<readonly PartFault[]>;
	/** A folder on the same file system for what will be added; `remove()` it in the end. */
	scratch(): Promise<Scratch>;
}

export interface PartFile {
	readonly path: string;
}

export interface StoredImage {
	readonly digest: Digest;
	readonly manifest: ImageManifest;
	/** Absolute path of each part. */
	readonly files: Readonly<Record<PartName, string>>;
}

export interface NamedImage {
	readonly name: string | null;
	readonly digest: Digest;
	readonly platform: Platform;
	/** All parts together; parts that several images share count for each. */
	readonly sizeBytes: number;
	/** When it came into this store, in milliseconds since 1970. */
	readonly addedMs: number;
}

export interface Cancel {
	readonly signal?: AbortSignal;
}

export interface PruneOptions extends Cancel {
	readonly olderThanMs: number;
	/** Says what would go, and leaves it. */
	readonly mode?: "remove" | "report";
}

export interface VerifyOptions extends Cancel {
	readonly progress?: (doneBytes: number, totalBytes: number) => void;
}

export interface PartFault {
	readonly part: PartName | "image.json";
	readonly path: string;
	/** Ends the sentence "its disk …". */
	readonly reason: string;
}

export interface Removal {
	readonly images: readonly Digest[];
	readonly blobs: readonly Digest[];
	readonly freedBytes: number;
}
