import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Digest, digestSchema, hexOfDigest } from "../../core/index.ts";
import { type Recipe, recipeSchema } from "../recipe/schema.ts";

/** Which image a plan became, and which recipe an image came from. A cache: what is not there is built again. */
export class PlanCache {
	readonly #directory: string;

	constructor(cacheDirectory: string) {
		this.#directory = cacheDirectory;
	}

	async imageOf(planDigest: Digest): Promise<Digest | undefined> {
		const text = await readFile(join(this.#directory, "plans", hexOfDigest(planDigest)), "utf8").catch(() => "");
		return digestSchema.safeParse(text.trimEnd()).data;
	}

	/** The recipe, with its folders on this machine, that this image was last built from. */
	async recipeOf(image: Digest): Promise<Recipe | undefined> {
		const path = join(this.#directory, "recipes", `${hexOfDigest(image)}.json`);
		try {
			return recipeSchema.parse(JSON.parse(await readFile(path, "utf8")));
		} catch {
			return undefined;
		}
	}

	async remember(planDigest: Digest, image: Digest, recipe: Recipe): Promise<void> {
		await write(join(this.#directory, "recipes", `${hexOfDigest(image)}.json`), JSON.stringify(recipe));
		await write(join(this.#directory, "plans", hexOfDigest(planDigest)), `${image}\n`);
	}
}

async function write(path: string, text: string): Promise<void> {
	await mkdir(dirname(path), { recursive: true, mode: 0o700 });
	const temporary = `${path}.${process.pid}.new`;
	await writeFile(temporary, text, { mode: 0o600 });
	await rename(temporary, path);
}
