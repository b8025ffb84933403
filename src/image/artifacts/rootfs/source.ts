import type { Digest } from "../../../core/index.ts";
import type { Host } from "../../../host/index.ts";
import type { ImageManifest, Platform } from "../../schema.ts";
import type { RootfsTree } from "./tree.ts";

/** Where a root file system comes from. */
export type RootfsSource =
	| { readonly kind: "folder" | "tar"; readonly path: string }
	/** Folder, tar of such a folder, `docker save`; the tag picks one of several images. */
	| {
			readonly kind: "oci-layout" | "oci-archive" | "docker-archive";
			readonly path: string;
			readonly tag: string | null;
	  };

/** Bounds of one source: beyond them it is an attack on the disk or the memory, not a root file system. */
export interface SourceLimits {
	/** Bytes of all layers, decompressed; of all files of a folder. */
	readonly maxBytes: number;
	/** Entries of all layers together. */
	readonly maxEntries: number;
	/** Bytes of all names, link targets and xattrs together: they are held in memory. */
	readonly maxNameBytes: number;
	/** Folders inside of folders. */
	readonly maxDepth: number;
	readonly maxLayers: number;
	/** Decompressed bytes for each stored byte, once a stream is longer than `ratioFreeBytes`. */
	readonly maxRatio: number;
	readonly ratioFreeBytes: number;
}

export const DEFAULT_LIMITS: SourceLimits = {
	maxBytes: 16 * 2 ** 30,
	maxEntries: 1_000_000,
	maxNameBytes: 256 * 2 ** 20,
	maxDepth: 256,
	maxLayers: 500,
	maxRatio: 200,
	ratioFreeBytes: 256 * 2 ** 20,
};

export interface ReadOptions {
	/** Which image of several. */
	readonly platform: Platform;
	/**
	 * Decompressed layers that memory has no room for wait here, in files that have no name: nothing is left, however this
	 * process ends.
	 */
	readonly scratchDirectory: string;
	readonly host: Host;
	readonly limits?: Partial<SourceLimits> | undefined;
	readonly signal?: AbortSignal | undefined;
	/** Stored bytes read, and in all when that is known. */
	readonly progress?: ((doneBytes: number, totalBytes: number | null) => void) | undefined;
}

export type ImageConfig = ImageManifest["config"];

export const NO_CONFIG: ImageConfig = { entrypoint: [], command: [], environment: [], workingDirectory: "", user: "" };

/** Something that went into the tree, by its digest. */
export interface SourceMaterial {
	/** `archive`, `manifest`, `config`, `layer-0`, … */
	readonly name: string;
	readonly digest: Digest;
	readonly sizeBytes: number;
}

export interface ReadRootfs extends AsyncDisposable {
	readonly tree: RootfsTree;
	readonly config: ImageConfig;
	/** Empty for a folder, which has no digest of its own. */
	readonly materials: readonly SourceMaterial[];
	/** Contents can be read until then. */
	close(): Promise<void>;
}

/** An expected refusal on its way to `readSource`, which names the source. */
export class Refusal extends Error {
	/** Printable. */
	readonly entry: string;
	constructor(entry: string, reason: string) {
		super(reason);
		this.entry = entry;
	}
}
