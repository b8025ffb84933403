import type { ImageStore } from "../../image/index.ts";
import type { FolderRoot, ImageRoot, PreparedRoot } from "../driver.ts";
import { failures } from "../failures.ts";
import { type PrepareOptions, pathKind, prepareFolder } from "./folder-root.ts";

export interface RootOptions extends PrepareOptions {
	/** `$XDG_DATA_HOME/vouch/images`. */
	readonly imageDirectory: string;
	/** Told of what takes long: building an image of what is none yet. */
	readonly progress: (line: string) => void;
}

/** What `--image` names, before it is known which driver will take it. */
export interface RootChoice {
	/** The shape that it has by itself. The other one is made: unpacked, or built. */
	readonly native: PreparedRoot["kind"];
	prepare(shape: PreparedRoot["kind"]): Promise<PreparedRoot>;
}

/**
 * A name of the store is that image; a path is what is there; else a registry is asked. `./app` is a folder where `app` may be
 * an image: a name wins over a folder beside it.
 */
export async function findRoot(reference: string, options: RootOptions): Promise<RootChoice> {
	const { openImageStore } = await import("../../image/index.ts");
	const store = openImageStore(options.imageDirectory);
	const stored = await inStore(reference, store);
	if (stored !== undefined) {
		return {
			native: "image",
			prepare: async (shape) => {
				if (shape === "image") return stored;
				const { unpackImage } = await import("./image-folder.ts");
				return unpackImage(reference, stored, options);
			},
		};
	}
	return {
		native: "folder",
		prepare: (shape) => (shape === "folder" ? prepareRoot(reference, options) : built(reference, store, options)),
	};
}

/** A root as a folder; see `prepareFolder`. */
export function prepareRoot(reference: string, options: PrepareOptions): Promise<FolderRoot> {
	return prepareFolder(reference, options);
}

async function inStore(reference: string, store: ImageStore): Promise<ImageRoot | undefined> {
	const isPath = /^[./]|\/$|^oci:|:\/\//.test(reference);
	if (isPath) return undefined;
	const { VouchError } = await import("../../core/index.ts");
	try {
		const found = await store.resolve(reference);
		return found === undefined ? undefined : { kind: "image", ...found };
	} catch (error) {
		// What can't be a name of the store may still be one of a registry.
		if (error instanceof VouchError && error.code === "image-name-invalid") return undefined;
		throw error;
	}
}

/** Built from what the reference names, or found in the cache: the same input is the same image. */
async function built(reference: string, store: ImageStore, options: RootOptions): Promise<ImageRoot> {
	if (pathKind(reference) === "missing" && !/^oci:|^docker:|[/:]/.test(reference)) {
		throw failures.fail("image-not-readable", {
			reference,
			reason: "there is no such image, folder or tar file; `vouch image ls` lists the images",
		});
	}
	const { buildImage, recipeFor } = await import("../../image/index.ts");
	const { cacheDirectory, host, progress } = options;
	progress(`building an image of ${reference}, as the machine needs a kernel and a verified disk`);
	const recipe = await recipeFor({ source: reference }, { host });
	const made = await buildImage(recipe, {
		store,
		cacheDirectory,
		host,
		progress: ({ line }) => {
			if (line !== undefined) progress(line);
		},
	});
	const stored = await store.resolve(made.digest);
	if (stored === undefined)
		throw failures.fail("image-not-readable", { reference, reason: "it was built and is gone" });
	return { kind: "image", ...stored };
}
