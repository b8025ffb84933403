import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Host } from "../../host/index.ts";
import { fail } from "../failures.ts";
import type { Platform } from "../schema.ts";
import { machinePlatform } from "../store/index.ts";
import { checkRecipe, readRecipeText } from "./recipe-text.ts";
import {
	DEFAULT_EPOCH,
	DEFAULT_SALT,
	DEFAULT_UUID,
	type Recipe,
	type RecipeFile,
	type RecipeSource,
} from "./schema.ts";
import { SourceReading } from "./source-reading.ts";

/** What a command line says. What is given wins over the recipe file; lists and maps add to it. */
export interface RecipeRequest {
	/** A folder, file, `debian:SUITE`, `oci:FOLDER[:TAG]`, a registry reference, or a recipe file. */
	readonly source: string;
	/** Relative paths start here; by default the process's own. */
	readonly workingDirectory?: string;
	readonly kind?: string;
	readonly name?: string;
	readonly platform?: string;
	readonly rootfs?: string;
	readonly epoch?: number;
	readonly salt?: string;
	readonly uuid?: string;
	readonly kernelSuite?: string;
	readonly kernelSnapshot?: string;
	readonly dockerfile?: string;
	readonly target?: string;
	readonly arguments?: Readonly<Record<string, string>>;
	readonly contexts?: Readonly<Record<string, string>>;
	readonly network?: string;
	readonly builder?: string;
	readonly packages?: readonly string[];
	readonly components?: readonly string[];
	readonly snapshot?: string;
}

export const RECIPE_FILE = "vouch-image.yaml";
export const LOCK_FILE = "vouch-image.lock";

/** The whole recipe. Throws VouchError `recipe-invalid`, which lists every problem. */
export async function recipeFor(request: RecipeRequest, { host }: { readonly host: Host }): Promise<Recipe> {
	const from = request.workingDirectory ?? process.cwd();
	const found = await findRecipeFile(request.source, from);
	const recipe = found === undefined ? {} : await readRecipeFile(found);
	const flags = checkRecipe(flagsOf(request));
	const problems = flags.kind === "invalid" ? [...flags.problems] : [];
	const merged = merge(recipe, flags.kind === "recipe" ? flags.recipe : {});
	const platform = merged.platform ?? machinePlatform();
	if (platform === undefined)
		problems.push(`Images can't be made for this machine (${process.arch}): give a platform.`);
	const base = found === undefined ? from : dirname(found);
	const text = found === undefined ? request.source : (merged.source ?? ".");
	const reading = new SourceReading(host, base, problems);
	const source = await reading.read(text, merged);
	const name = merged.name ?? nameFrom(found === undefined ? request.source : dirname(found), from);
	if (problems.length > 0 || source === undefined || platform === undefined) {
		throw fail("recipe-invalid", { source: found ?? request.source, problems: problems.join(" ") });
	}
	return assemble({ recipe: merged, source, platform, name, lockFile: lockFileOf(found, source) });
}

interface Assembled {
	readonly recipe: RecipeFile;
	readonly source: RecipeSource;
	readonly platform: Platform;
	readonly name: string | null;
	readonly lockFile: string | null;
}

function assemble({ recipe, source, platform, name, lockFile }: Assembled): Recipe {
	return {
		schema: "vouch.recipe/v1",
		name,
		platform,
		rootfsFormat: recipe.rootfs ?? "erofs",
		epoch: recipe.epoch ?? DEFAULT_EPOCH,
		verity: { salt: recipe.verity?.salt ?? DEFAULT_SALT, uuid: recipe.verity?.uuid ?? DEFAULT_UUID },
		kernel: { suite: recipe.kernel?.suite ?? null, snapshot: recipe.kernel?.snapshot ?? null },
		source,
		lockFile,
	};
}

/** The file itself, or the one in the folder that was named. */
async function findRecipeFile(source: string, from: string): Promise<string | undefined> {
	const path = resolve(from, source);
	const found = await stat(path).catch(() => undefined);
	if (found?.isFile()) return /\.ya?ml$/.test(path) ? path : undefined;
	if (!found?.isDirectory()) return undefined;
	const inside = join(path, RECIPE_FILE);
	return (await stat(inside).catch(() => undefined))?.isFile() ? inside : undefined;
}

async function readRecipeFile(path: string): Promise<RecipeFile> {
	const reading = await readRecipeText(await readFile(path, "utf8"));
	if (reading.kind === "recipe") return reading.recipe;
	throw fail("recipe-invalid", { source: path, problems: reading.problems.join(" ") });
}

function flagsOf(request: RecipeRequest): unknown {
	const { kind, name, platform, rootfs, epoch } = request;
	return withoutUndefined({
		kind,
		name,
		platform,
		rootfs,
		epoch,
		verity: withoutUndefined({ salt: request.salt, uuid: request.uuid }),
		kernel: withoutUndefined({ suite: request.kernelSuite, snapshot: request.kernelSnapshot }),
		dockerfile: withoutUndefined({
			file: request.dockerfile,
			target: request.target,
			arguments: request.arguments,
			contexts: request.contexts,
			network: request.network,
			builder: request.builder,
		}),
		debian: withoutUndefined({
			packages: request.packages,
			components: request.components,
			snapshot: request.snapshot,
		}),
	});
}

function withoutUndefined(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
	return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

function merge(file: RecipeFile, flags: RecipeFile): RecipeFile {
	return {
		...file,
		...flags,
		verity: { ...file.verity, ...flags.verity },
		kernel: { ...file.kernel, ...flags.kernel },
		dockerfile: {
			...file.dockerfile,
			...flags.dockerfile,
			arguments: { ...file.dockerfile?.arguments, ...flags.dockerfile?.arguments },
			contexts: { ...file.dockerfile?.contexts, ...flags.dockerfile?.contexts },
		},
		debian: {
			...file.debian,
			...flags.debian,
			packages: [...(file.debian?.packages ?? []), ...(flags.debian?.packages ?? [])],
		},
	};
}

/** `./My_App` → `my_app`, `debian:bookworm` → `debian-bookworm`; null when nothing is left. */
export function nameFrom(source: string, from: string): string | null {
	const word = /^debian:|:\/\/|^oci:/.test(source) ? source.replace(/\?.*$/s, "") : basename(resolve(from, source));
	const name = word
		.replace(/^(?:docker:\/\/|oci:)/, "")
		.replace(/\.(?:tar|tgz|tar\.\w+|ya?ml)$/, "")
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, "-")
		.replace(/^-+|-+$/g, "")
		.slice(0, 100)
		.replace(/-+$/, "");
	return name === "" ? null : name;
}

/** Beside the recipe, or in the Dockerfile's folder; elsewhere nobody would look for it. */
function lockFileOf(recipeFile: string | undefined, source: RecipeSource): string | null {
	if (recipeFile !== undefined) return join(dirname(recipeFile), LOCK_FILE);
	return source.kind === "dockerfile" ? join(source.path, LOCK_FILE) : null;
}
