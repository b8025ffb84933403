import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../../core/index.ts";
import type { Host } from "../../host/index.ts";
import { type ReadRootfs, type RootfsSource, readSource } from "../artifacts/rootfs/index.ts";
import { fail } from "../failures.ts";
import { architectureOf } from "../guest.ts";
import { rememberedDigest } from "../plan/file-digest.ts";
import { rootFolder } from "../plan/folder-input.ts";
import { hubName } from "../plan/pinning.ts";
import type { BuildPlan, ContextInput, DebianInput, DockerfileInput, SourceInput } from "../plan/schema.ts";
import type { ContextSource, DebianSource, DockerfileSource, RecipeSource } from "../recipe/schema.ts";
import type { NamedContext, StageRequest } from "../sources/dockerfile/index.ts";
import type { OnProgress } from "./progress.ts";

export interface SourceTreeOptions {
	readonly host: Host;
	readonly cacheDirectory: string;
	/** A folder of this build alone. */
	readonly workFolder: string;
	readonly plan: BuildPlan;
	readonly signal?: AbortSignal | undefined;
	readonly progress: OnProgress;
}

/** The tree of a source, made from what the plan says and nothing else. Throws `image-source-changed` and what making it throws. */
export async function openSourceTree(source: RecipeSource, options: SourceTreeOptions): Promise<ReadRootfs> {
	const making = new SourceMaking(options);
	const rootfs = await making.rootfsSource(source, options.plan.source);
	const { host, signal, plan, workFolder, progress } = options;
	const read = await readSource(rootfs, {
		platform: plan.platform,
		scratchDirectory: workFolder,
		host,
		signal,
		progress: (doneBytes, totalBytes) =>
			progress({ step: "source", what: "reading files", doneBytes, ...(totalBytes !== null && { totalBytes }) }),
	});
	const manifest = read.materials.find(({ name }) => name === "manifest")?.digest;
	const { source: input } = plan;
	if (input.kind === "oci-layout" && manifest !== input.manifestDigest) {
		await read.close();
		throw fail("image-source-changed", { source: "path" in source ? source.path : "the layout" });
	}
	return read;
}

/** Looks once more, when all has been read, at a source that others can write to. Throws `image-source-changed`. */
export async function checkSourceUnchanged(
	source: RecipeSource,
	input: SourceInput,
	options: Pick<SourceTreeOptions, "cacheDirectory" | "signal">,
): Promise<void> {
	const check = (now: Digest, planned: Digest) => {
		if (now !== planned) throw fail("image-source-changed", { source: "path" in source ? source.path : "it" });
	};
	if (source.kind === "folder" && input.kind === "folder")
		check(await rootFolder(source.path, options), input.treeDigest);
	if ("fileDigest" in input && "path" in source) check(await rememberedDigest(source.path, options), input.fileDigest);
	if (source.kind !== "dockerfile" || input.kind !== "dockerfile") return;
	for (const [name, context] of Object.entries(source.contexts)) {
		const planned = input.contexts[name];
		// A folder was looked at when it was staged; the rest goes by digests.
		if (planned !== undefined && "fileDigest" in planned) await checkSourceUnchanged(context, planned, options);
	}
}

class SourceMaking {
	readonly #options: SourceTreeOptions;

	constructor(options: SourceTreeOptions) {
		this.#options = options;
	}

	rootfsSource(source: RecipeSource, input: SourceInput): Promise<RootfsSource> {
		if (source.kind === "dockerfile" && input.kind === "dockerfile") return this.#dockerfile(source, input);
		if (source.kind !== "dockerfile" && input.kind !== "dockerfile") return this.#plain(source, input);
		throw new TypeError(`a plan of ${input.kind} for a source of ${source.kind}`);
	}

	async #plain(source: ContextSource, input: ContextInput): Promise<RootfsSource> {
		if (source.kind === "debian" && input.kind === "debian") {
			return { kind: "tar", path: await this.#debian(source, input) };
		}
		if (source.kind === "registry" && input.kind === "registry") {
			const path = await this.#registry(source.reference, input.manifestDigest);
			return { kind: "oci-layout", path, tag: null };
		}
		if ("path" in source) return source;
		throw new TypeError(`a plan of ${input.kind} for a source of ${source.kind}`);
	}

	async #debian(source: DebianSource, input: DebianInput): Promise<string> {
		const { bootstrapDebian } = await import("../sources/debian/index.ts");
		const { host, cacheDirectory, plan, signal, progress } = this.#options;
		return bootstrapDebian(input, {
			host,
			cacheDirectory,
			architecture: architectureOf(plan.platform),
			epoch: plan.rootfs.epoch,
			snapshot: source.snapshot,
			signal,
			progress: (what, doneBytes, totalBytes) =>
				progress({
					step: "source",
					what,
					...(doneBytes !== undefined && { doneBytes }),
					...(totalBytes !== undefined && { totalBytes }),
				}),
			onLine: this.#lines(`installing Debian ${source.suite}`),
		});
	}

	async #registry(reference: string, digest: Digest): Promise<string> {
		const { copyImage } = await import("../sources/registry/index.ts");
		const { host, cacheDirectory, plan, signal, progress } = this.#options;
		const what = `fetching ${reference}`;
		progress({ step: "source", what });
		return copyImage(reference, digest, {
			host,
			cacheDirectory,
			platform: plan.platform,
			signal,
			onLine: this.#lines(what),
		});
	}

	async #dockerfile(source: DockerfileSource, input: DockerfileInput): Promise<RootfsSource> {
		const { host, plan, signal, progress, workFolder } = this.#options;
		const { epoch } = plan.rootfs;
		const { buildDockerfile } = await import("../sources/dockerfile/index.ts");
		const context = join(workFolder, "context");
		await this.#stage({
			source: source.path,
			dockerfile: source.file,
			contextDigest: input.contextDigest,
			target: context,
		});
		const dockerfile = join(workFolder, "Dockerfile");
		await copyFile(join(source.path, source.file), dockerfile);
		await this.#checkFile(dockerfile, input.dockerfileDigest, source.path);
		const contexts = await this.#contexts(source, input);
		progress({ step: "source", what: "running the Dockerfile" });
		const built = await buildDockerfile(
			{
				source: source.path,
				context,
				dockerfile,
				target: source.target,
				arguments: source.arguments,
				contexts,
				network: source.network,
				platform: plan.platform,
				epoch,
				workFolder,
			},
			input.builder.name,
			{ host, signal, onLine: this.#lines("running the Dockerfile") },
		);
		return { kind: built.kind, path: built.path, tag: null };
	}

	async #stage(request: StageRequest): Promise<void> {
		const { plan, signal, progress, cacheDirectory } = this.#options;
		const { stageContext } = await import("../sources/dockerfile/index.ts");
		await stageContext(request, {
			cacheDirectory,
			epoch: plan.rootfs.epoch,
			signal,
			progress: (doneBytes, totalBytes) =>
				progress({ step: "source", what: "copying the context", doneBytes, totalBytes }),
		});
	}

	async #checkFile(path: string, planned: Digest, source: string): Promise<void> {
		const { measureFile } = await import("../store/index.ts");
		if ((await measureFile(path)).digest !== planned) throw fail("image-source-changed", { source });
	}

	async #contexts(source: DockerfileSource, input: DockerfileInput): Promise<readonly NamedContext[]> {
		const contexts: NamedContext[] = [];
		for (const [name, one] of Object.entries(source.contexts)) {
			const planned = input.contexts[name];
			if (planned === undefined) throw new TypeError(`the plan has no context ${name}`);
			contexts.push(await this.#context(name, one, planned));
		}
		for (const [name, digest] of Object.entries(input.images)) {
			const path = await this.#registry(hubName(name), digest);
			contexts.push({ name, kind: "oci-layout", path, manifestDigest: await this.#manifestIn(path) });
		}
		return contexts;
	}

	async #context(name: string, source: ContextSource, input: ContextInput): Promise<NamedContext> {
		const folder = join(this.#options.workFolder, `context-${name.replace(/[^a-z0-9]/g, "-")}`);
		const rootfs = await this.#plain(source, input);
		switch (rootfs.kind) {
			case "folder":
				if (input.kind !== "folder") throw new TypeError(`a plan of ${input.kind} for a folder`);
				await this.#stage({
					source: rootfs.path,
					dockerfile: null,
					contextDigest: input.treeDigest,
					target: folder,
				});
				return { name, kind: "folder", path: folder };
			case "tar": {
				// A system in a tar becomes an image of one layer, which FROM can name.
				this.#options.progress({ step: "source", what: `preparing ${name}` });
				await mkdir(folder);
				const { writeLayout } = await import("../sources/dockerfile/index.ts");
				const manifestDigest = await writeLayout(rootfs.path, folder, this.#options.plan.platform);
				return { name, kind: "oci-layout", path: folder, manifestDigest };
			}
			case "oci-layout": {
				const { path } = rootfs;
				const planned = input.kind === "oci-layout" ? input.manifestDigest : await this.#manifestIn(path);
				return { name, kind: "oci-layout", path, manifestDigest: planned };
			}
			case "oci-archive":
			case "docker-archive":
				return { name, kind: rootfs.kind, path: rootfs.path, tag: rootfs.tag };
		}
	}

	/** Of a layout in the cache, which holds what one digest leads to. */
	async #manifestIn(path: string): Promise<Digest> {
		const { layoutManifest } = await import("../plan/layout-input.ts");
		return layoutManifest(path, null, this.#options.plan.platform);
	}

	#lines(what: string): (line: string) => void {
		return (line) => this.#options.progress({ step: "source", what, line });
	}
}
