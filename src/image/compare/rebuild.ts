import { readFile } from "node:fs/promises";
import { canonicalJson, type Digest, type Json, parseJsonStrict } from "../../core/index.ts";
import { buildPlan, imageCache } from "../assembly/build.ts";
import { PlanCache } from "../assembly/plan-cache.ts";
import type { OnProgress } from "../assembly/progress.ts";
import { planRecipe } from "../plan/index.ts";
import type { BuildPlan } from "../plan/schema.ts";
import { imageProvenanceSchema } from "../provenance/index.ts";
import type { Recipe } from "../recipe/schema.ts";
import type { ImageStore, StoredImage } from "../store/index.ts";
import { type CompareOptions, compareImages, type ImageComparison } from "./compare-images.ts";
import { fail } from "./failures.ts";
import { RecordedPins, recipeOfPlan } from "./recorded-pins.ts";

export interface RebuildOptions extends Pick<CompareOptions, "host"> {
	readonly store: ImageStore;
	/** `$XDG_CACHE_HOME/vouch`. */
	readonly cacheDirectory: string;
	/** Where the source is on this machine; default where this machine built it from. */
	readonly recipe?: Recipe | undefined;
	readonly progress?: OnProgress | undefined;
	readonly signal?: AbortSignal | undefined;
}

export interface InputDifference {
	/** "source.contextDigest", "guest.digest": where the build plans differ. */
	readonly input: string;
	readonly recorded: string;
	readonly now: string;
}

export interface Rebuilt {
	readonly verdict: "identical" | "different";
	readonly digest: Digest;
	/** What came out this time; in the store, without a name, when it is another one. */
	readonly rebuilt: Digest;
	/** Inputs that are no longer what was recorded: the cause of differences, where there are any. */
	readonly inputs: readonly InputDifference[];
	readonly comparison: ImageComparison;
}

/**
 * Builds an image again from what its provenance records: the same packages, kernel and bases, and the source as it is now.
 * Nothing that a build remembered is used but where the source is. Throws VouchError for what can't be had any more.
 */
export async function rebuildImage(digest: Digest, options: RebuildOptions): Promise<Rebuilt> {
	const { store, host, signal } = options;
	const original = await imageOf(store, digest);
	const recorded = await recordedPlan(original);
	const cache = imageCache(options.cacheDirectory);
	const recipe = await recipeFor(digest, recorded, options);
	options.progress?.({ step: "inputs", what: "comparing the inputs with what was recorded" });
	const plan = await planRecipe(recipe, {
		host,
		cacheDirectory: cache,
		book: new RecordedPins(recorded),
		signal,
		onLookUp: (what) => options.progress?.({ step: "inputs", what: `looking up ${what}` }),
	});
	const rebuilt = await buildPlan({ ...recipe, name: null }, plan, { ...options, signal });
	options.progress?.({ step: "store", what: "comparing the images" });
	const comparison = await compareImages(original, await imageOf(store, rebuilt), {
		host,
		scratch: () => store.scratch(),
		signal,
	});
	const verdict = rebuilt === digest ? "identical" : "different";
	return { verdict, digest, rebuilt, inputs: differencesOf(recorded, plan), comparison };
}

async function imageOf(store: ImageStore, digest: Digest): Promise<StoredImage> {
	const found = await store.resolve(digest);
	if (found !== undefined) return found;
	// Throws what the store says of an image that isn't there.
	await store.read(digest);
	throw new TypeError(`${digest} is in the store and can't be found`);
}

async function recordedPlan({ digest, files }: StoredImage): Promise<BuildPlan> {
	try {
		const statement = imageProvenanceSchema.parse(parseJsonStrict(await readFile(files.provenance, "utf8")));
		return statement.predicate.buildDefinition.internalParameters.plan;
	} catch (error) {
		throw fail("image-provenance-unreadable", { digest }, error);
	}
}

/** The recorded recipe with the source where this machine has it. What the image was made like is as recorded. */
async function recipeFor(digest: Digest, plan: BuildPlan, { recipe, cacheDirectory }: RebuildOptions): Promise<Recipe> {
	const known = recipe ?? (await new PlanCache(imageCache(cacheDirectory)).recipeOf(digest)) ?? recipeOfPlan(plan);
	if (known === undefined) throw fail("image-recipe-unknown", { digest, source: plan.source.kind });
	return {
		...known,
		platform: plan.platform,
		rootfsFormat: plan.rootfs.format,
		epoch: plan.rootfs.epoch,
		verity: plan.verity,
	};
}

/** Members of the plans that differ; a list is one member. */
function differencesOf(recorded: BuildPlan, now: BuildPlan): readonly InputDifference[] {
	const [left, right] = [membersOf(recorded as unknown as Json, ""), membersOf(now as unknown as Json, "")];
	const inputs = [...new Set([...left.keys(), ...right.keys()])].sort();
	return inputs
		.filter((input) => left.get(input) !== right.get(input))
		.map((input) => ({ input, recorded: left.get(input) ?? "nothing", now: right.get(input) ?? "nothing" }));
}

function membersOf(value: Json, path: string): ReadonlyMap<string, string> {
	if (typeof value !== "object" || value === null || Array.isArray(value)) {
		return new Map([[path, typeof value === "string" ? value : canonicalJson(value)]]);
	}
	const members = Object.entries(value).flatMap(([name, member]) => [
		...membersOf(member as Json, path === "" ? name : `${path}.${name}`),
	]);
	return new Map(members);
}
