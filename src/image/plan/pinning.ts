import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, reasonOf } from "../../core/index.ts";
import type { Host } from "../../host/index.ts";
import { fail } from "../failures.ts";
import { architectureOf, findGuest, GUEST_GENERATION, vouchVersion } from "../guest.ts";
import type { ContextSource, DebianSource, DockerfileSource, Recipe, RecipeSource } from "../recipe/schema.ts";
import type { Platform } from "../schema.ts";
import { machinePlatform } from "../store/index.ts";
import { rememberedDigest } from "./file-digest.ts";
import { contextFolder, rootFolder } from "./folder-input.ts";
import type { PinBook } from "./pin-book.ts";
import { makePlan } from "./plan.ts";
import type { BuildPlan, ContextInput, DebianInput, DockerfileInput, SourceInput } from "./schema.ts";
import { rememberedVersion } from "./tool-version.ts";

export interface PinningOptions {
	readonly host: Host;
	/** Of images. */
	readonly cacheDirectory: string;
	readonly book: PinBook;
	readonly signal?: AbortSignal | undefined;
	/** Told before the network is asked. */
	readonly onLookUp: (what: string) => void;
}

/** The plan of a recipe as its inputs are now. Local inputs are read each time; names are looked up when no pin is known. */
export async function planRecipe(recipe: Recipe, options: PinningOptions): Promise<BuildPlan> {
	const pinning = new Pinning(recipe.platform, options);
	const { host } = options;
	const guest = await rememberedDigest(await findGuest(host, recipe.platform), options);
	const source = await pinning.source(recipe.source);
	return makePlan(recipe, {
		source,
		kernel: await pinning.kernel(recipe.kernel),
		guest: { digest: guest, generation: GUEST_GENERATION },
		vouchVersion: vouchVersion(),
	});
}

/** The registry reference that a Dockerfile's short name means: `python:3.12` is one of Docker's own. */
export function hubName(name: string): string {
	const [first = "", ...rest] = name.split("/");
	if (rest.length > 0 && (/[.:]/.test(first) || first === "localhost")) return name;
	return `docker.io/${rest.length === 0 ? "library/" : ""}${name}`;
}

class Pinning {
	readonly #platform: Platform;
	readonly #options: PinningOptions;

	constructor(platform: Platform, options: PinningOptions) {
		this.#platform = platform;
		this.#options = options;
	}

	async kernel({ suite, snapshot }: Recipe["kernel"]): Promise<BuildPlan["kernel"]> {
		const { book, host, signal, onLookUp } = this.#options;
		const platform = this.#platform;
		const key = [platform, suite ?? "default", ...(snapshot === null ? [] : [snapshot])].join(" ");
		const pin = await book.pin("kernel", key, async () => {
			onLookUp("the kernel");
			const { pinKernel } = await import("../artifacts/kernel/index.ts");
			const choice = { ...(suite !== null && { suite }), ...(snapshot !== null && { snapshot }) };
			return { kind: "kernel", kernel: await pinKernel(platform, { host, ...choice, signal }) };
		});
		return pin.kernel;
	}

	source(source: RecipeSource): Promise<SourceInput> {
		return source.kind === "dockerfile" ? this.#dockerfile(source) : this.#plain(source);
	}

	async #plain(source: ContextSource): Promise<ContextInput> {
		switch (source.kind) {
			case "folder":
				return { kind: "folder", treeDigest: await rootFolder(source.path, this.#options) };
			case "tar":
				return { kind: "tar", fileDigest: await rememberedDigest(source.path, this.#options), tag: null };
			case "oci-archive":
			case "docker-archive": {
				const fileDigest = await rememberedDigest(source.path, this.#options);
				return { kind: source.kind, fileDigest, tag: source.tag };
			}
			case "oci-layout": {
				const { layoutManifest } = await import("./layout-input.ts");
				const manifestDigest = layoutManifest(source.path, source.tag, this.#platform);
				return { kind: "oci-layout", manifestDigest, reference: null };
			}
			case "registry": {
				const { reference } = source;
				return { kind: "registry", manifestDigest: await this.#image(reference), reference };
			}
			case "debian":
				return this.#debian(source);
		}
	}

	async #image(reference: string): Promise<Digest> {
		const digest = /@(sha256:[0-9a-f]{64})$/.exec(reference)?.[1];
		if (digest !== undefined) return digest as Digest;
		const { book, host, signal, onLookUp } = this.#options;
		const pin = await book.pin("image", `${reference} ${architectureOf(this.#platform)}`, async () => {
			onLookUp(reference);
			const { resolveImage } = await import("../sources/registry/index.ts");
			const manifestDigest = await resolveImage(reference, { host, platform: this.#platform, signal });
			return { kind: "image", manifestDigest };
		});
		return pin.manifestDigest;
	}

	async #debian(source: DebianSource): Promise<DebianInput> {
		const { book, host, cacheDirectory, signal, onLookUp } = this.#options;
		const { suite, packages: requested, components, snapshot } = source;
		const architecture = architectureOf(this.#platform);
		const key = [suite, architecture, components.join(","), requested.join(","), snapshot ?? "now"].join(" ");
		const pin = await book.pin("debian", key, async () => {
			onLookUp(`packages of Debian ${suite}`);
			const { resolveDebian } = await import("../sources/debian/index.ts");
			return {
				kind: "debian",
				packages: [...(await resolveDebian(source, { host, architecture, signal }))],
			};
		});
		const mode = this.#platform === machinePlatform() ? "installed" : "unpacked";
		const tool = await rememberedVersion("mmdebstrap", { host, cacheDirectory }, async () => {
			const { debianTool } = await import("../sources/debian/index.ts");
			return debianTool(host);
		});
		return { kind: "debian", suite, mode, requested, components, packages: pin.packages, tool };
	}

	async #dockerfile(source: DockerfileSource): Promise<DockerfileInput> {
		const { path, file, target, network } = source;
		const { digest } = await contextFolder(path, file, this.#options);
		const dockerfileDigest = await rememberedDigest(join(path, file), this.#options);
		const contexts: Record<string, ContextInput> = {};
		for (const [name, context] of Object.entries(source.contexts)) contexts[name] = await this.#context(context);
		const text = await readFile(join(path, file), "utf8").catch((error: unknown) => {
			throw fail("image-source-unreadable", { source: join(path, file), reason: reasonOf(error) }, error);
		});
		const { addressesAdded, imagesNamedIn } = await import("./dockerfile.ts");
		const [address] = network === "none" ? addressesAdded(text) : [];
		if (address !== undefined) {
			const reason = `ADD would fetch ${address}, and it has no network; put the file beside it, or set dockerfile.network to host`;
			throw fail("dockerfile-impossible", { source: path, reason });
		}
		const named = imagesNamedIn(text, {
			arguments: source.arguments,
			contexts: Object.keys(contexts),
			platform: this.#platform,
		});
		const images: DockerfileInput["images"] = {};
		for (const name of named) images[name] = await this.#image(hubName(name));
		const { chooseBuilder } = await import("../sources/dockerfile/builder.ts");
		const { arguments: given } = source;
		return {
			kind: "dockerfile",
			contextDigest: digest,
			dockerfileDigest,
			target,
			arguments: given,
			network,
			builder: await chooseBuilder(source, this.#options),
			contexts,
			images,
		};
	}

	async #context(source: ContextSource): Promise<ContextInput> {
		if (source.kind !== "folder") return this.#plain(source);
		const { digest } = await contextFolder(source.path, null, this.#options);
		return { kind: "folder", treeDigest: digest };
	}
}
