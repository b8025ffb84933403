import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../../core/index.ts";
import type { Host } from "../../host/index.ts";
import { digestOfPlan, keepPins, openPinBook, type PinMode, planRecipe, writeLock } from "../plan/index.ts";
import type { BuildPlan } from "../plan/schema.ts";
import type { Recipe } from "../recipe/schema.ts";
import type { ImageManifest } from "../schema.ts";
import { openScratch, sweepScratch } from "../scratch/index.ts";
import type { ImageStore } from "../store/index.ts";
import { PlanCache } from "./plan-cache.ts";
import type { OnProgress } from "./progress.ts";

export interface BuildOptions {
	readonly store: ImageStore;
	/** `$XDG_CACHE_HOME/vouch`. */
	readonly cacheDirectory: string;
	readonly host: Host;
	readonly progress?: OnProgress | undefined;
	/** Ends the build early; nothing of it is left. It rejects with the signal's reason. */
	readonly signal?: AbortSignal | undefined;
	/** `update` looks up again what names mean; the default is what they meant the last time. */
	readonly pins?: PinMode | undefined;
	/** `write` puts the pins into `vouch-image.lock` beside the recipe. */
	readonly lock?: "write" | undefined;
}

export interface BuiltImage {
	readonly digest: Digest;
	readonly manifest: ImageManifest;
	readonly plan: BuildPlan;
	readonly planDigest: Digest;
	/** Nothing had changed, so nothing was done. */
	readonly cached: boolean;
	/** The name that means it now. */
	readonly name: string | null;
	/** Where the pins were written down. */
	readonly lockFile: string | null;
}

/** Builds what a recipe says, or finds that it has been built. Throws VouchError for whatever is wrong on the way. */
export async function buildImage(recipe: Recipe, options: BuildOptions): Promise<BuiltImage> {
	const { store, cacheDirectory, signal } = options;
	const progress = options.progress ?? (() => {});
	const cache = imageCache(cacheDirectory);
	signal?.throwIfAborted();
	progress({ step: "inputs", what: "looking at the inputs" });
	const book = await openPinBook(recipe, cache, options.pins ?? "remembered");
	const plan = await planRecipe(recipe, {
		host: options.host,
		cacheDirectory: cache,
		book,
		signal,
		onLookUp: (what) => progress({ step: "inputs", what: `looking up ${what}` }),
	});
	await keepPins(book, recipe, cache);
	const planDigest = digestOfPlan(plan);
	const plans = new PlanCache(cache);
	const known = await plans.imageOf(planDigest);
	const isThere = known !== undefined && (await store.has(known));
	const digest = isThere ? known : await buildPlan(recipe, plan, options);
	if (!isThere) await plans.remember(planDigest, digest, recipe);
	const manifest = await store.read(digest);
	await nameIt(recipe, { digest, platform: manifest.platform }, store);
	const lockFile = options.lock === "write" ? await writeLock(book, recipe) : null;
	return { digest, manifest, plan, planDigest, cached: isThere, name: recipe.name, lockFile };
}

/** Builds a plan whatever was built before; the image is in the store afterwards, without a name. */
export async function buildPlan(recipe: Recipe, plan: BuildPlan, options: BuildOptions): Promise<Digest> {
	const { store, host, signal } = options;
	const progress = options.progress ?? (() => {});
	const cacheDirectory = imageCache(options.cacheDirectory);
	const work = join(cacheDirectory, "work");
	await mkdir(work, { recursive: true, mode: 0o700 });
	await sweepScratch(work);
	// Loaded here: a rebuild with nothing changed needs none of it.
	const { assembleImage } = await import("./assemble.ts");
	const scratch = openScratch(work);
	const parts = await store.scratch();
	try {
		const { manifest, files } = await assembleImage(recipe, plan, {
			host,
			cacheDirectory,
			workFolder: scratch.directory,
			partFolder: parts.directory,
			signal,
			progress,
		});
		progress({ step: "store", what: "storing the image" });
		return await store.add(manifest, files, signal === undefined ? {} : { signal });
	} catch (error) {
		// Streams have errors of their own for this; the caller knows only the reason that it gave.
		signal?.throwIfAborted();
		throw error;
	} finally {
		await scratch.remove();
		await parts.remove();
	}
}

/** All that images keep in the cache lies in one folder. */
export function imageCache(cacheDirectory: string): string {
	return join(cacheDirectory, "image");
}

async function nameIt(
	recipe: Recipe,
	image: Pick<NamedThing, "digest" | "platform">,
	store: ImageStore,
): Promise<void> {
	if (recipe.name === null) return;
	const named = await store.resolve(recipe.name, image.platform);
	if (named?.digest !== image.digest) await store.name(recipe.name, image.digest);
}

interface NamedThing {
	readonly digest: Digest;
	readonly platform: ImageManifest["platform"];
}
