import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf } from "../../core/index.ts";
import type { Host } from "../../host/index.ts";
import { writeInitramfs } from "../artifacts/initramfs/index.ts";
import { commandLineFor, fetchKernel, type Kernel, packageUrlOf, unpackKernel } from "../artifacts/kernel/index.ts";
import { packRootfs, type ReadRootfs } from "../artifacts/rootfs/index.ts";
import { formatVerity } from "../artifacts/verity/index.ts";
import { fail } from "../failures.ts";
import { findGuest } from "../guest.ts";
import type { BuildPlan, ContextInput, PackagePin, SourceInput } from "../plan/schema.ts";
import { makeProvenance, provenanceText } from "../provenance/index.ts";
import type { Recipe } from "../recipe/schema.ts";
import { writeSbom } from "../sbom/index.ts";
import { type ImageManifest, PART_MEDIA_TYPES, type Part, type PartName, type Verity } from "../schema.ts";
import { measureFile } from "../store/index.ts";
import type { OnProgress } from "./progress.ts";
import { checkSourceUnchanged, openSourceTree } from "./source-tree.ts";

export interface AssemblyOptions {
	readonly host: Host;
	readonly cacheDirectory: string;
	/** A folder of this build alone: work in progress. */
	readonly workFolder: string;
	/** A folder of this build alone, on the store's file system: finished parts. */
	readonly partFolder: string;
	readonly signal?: AbortSignal | undefined;
	readonly progress: OnProgress;
}

export interface AssembledImage {
	readonly manifest: ImageManifest;
	readonly files: Readonly<Record<PartName, { readonly path: string }>>;
}

/** Makes every part of an image from its plan. Nothing in the result depends on where, when or by whom it is made. */
export async function assembleImage(
	recipe: Recipe,
	plan: BuildPlan,
	options: AssemblyOptions,
): Promise<AssembledImage> {
	return new Assembly(recipe, plan, options).run();
}

class Assembly {
	readonly #recipe: Recipe;
	readonly #plan: BuildPlan;
	readonly #options: AssemblyOptions;

	constructor(recipe: Recipe, plan: BuildPlan, options: AssemblyOptions) {
		this.#recipe = recipe;
		this.#plan = plan;
		this.#options = options;
	}

	async run(): Promise<AssembledImage> {
		const boot = await this.#boot();
		await using read = await openSourceTree(this.#recipe.source, { ...this.#options, plan: this.#plan });
		const disk = this.#path("disk");
		const verity = await this.#disk(read, disk);
		const { digest: diskDigest, sizeBytes } = await measureFile(disk, { signal: this.#options.signal });
		const parts: Partial<Record<PartName, Part>> = {
			disk: { mediaType: PART_MEDIA_TYPES.disk, digest: diskDigest, size: sizeBytes },
			kernel: await this.#write("kernel", boot.kernel.bytes),
			initramfs: await this.#write("initramfs", boot.initramfs),
			sbom: await this.#write("sbom", this.#sbom(read, verity)),
		};
		const whole = { ...parts, provenance: await this.#write("provenance", this.#provenance(parts, read)) };
		return this.#finish(whole as Record<PartName, Part>, { read, verity, boot });
	}

	/** First, because it is what most often can't be had. */
	async #boot(): Promise<Boot> {
		const { host, cacheDirectory, signal, progress } = this.#options;
		const { kernel: pin, platform, rootfs, guest } = this.#plan;
		progress({ step: "boot", what: `preparing the kernel ${pin.version}` });
		const snapshot = this.#recipe.kernel.snapshot ?? undefined;
		const deb = await fetchKernel(pin, { host, cacheDirectory, snapshot, signal });
		const kernel = await unpackKernel(deb, { platform, host, cacheDirectory, rootfsFormat: rootfs.format, signal });
		const bytes = await readFile(await findGuest(host, platform));
		if (digestOf(bytes) !== guest.digest) throw fail("image-source-changed", { source: "the guest program" });
		return { kernel, initramfs: writeInitramfs({ guest: bytes, modules: kernel.modules }) };
	}

	async #disk(read: ReadRootfs, path: string): Promise<Verity> {
		const { signal, progress, cacheDirectory } = this.#options;
		const { rootfs, verity, source } = this.#plan;
		progress({ step: "pack", what: `packing ${rootfs.format}` });
		const packed = await packRootfs(read.tree, {
			format: rootfs.format,
			path,
			epoch: rootfs.epoch,
			signal,
			progress: (doneBytes, totalBytes) =>
				progress({ step: "pack", what: `packing ${rootfs.format}`, doneBytes, totalBytes }),
		});
		if (packed.tool !== rootfs.tool)
			throw fail("image-source-changed", { source: packed.tool ?? "the packing program" });
		await checkSourceUnchanged(this.#recipe.source, source, { cacheDirectory, signal });
		progress({ step: "verity", what: "computing the hash tree" });
		return formatVerity(path, {
			...verity,
			...(signal && { signal }),
			progress: (doneBytes, totalBytes) =>
				progress({ step: "verity", what: "computing the hash tree", doneBytes, totalBytes }),
		});
	}

	#sbom(read: ReadRootfs, verity: Verity): string {
		const { kernel, rootfs, vouch, source } = this.#plan;
		const pins = packagesOf(source);
		return writeSbom({
			tree: read.tree,
			epoch: rootfs.epoch,
			rootHash: verity.rootHash,
			vouchVersion: vouch.version,
			debDigests: new Map(
				pins.map(({ name, version, architecture, debDigest }) => [`${name} ${version} ${architecture}`, debDigest]),
			),
			kernel: {
				name: kernel.package,
				version: kernel.version,
				url: packageUrlOf(kernel),
				digest: kernel.debDigest,
			},
		});
	}

	#provenance(parts: Partial<Record<PartName, Part>>, read: ReadRootfs): string {
		const subjects: Record<string, Digest> = {};
		for (const [name, part] of Object.entries(parts)) subjects[name] = part.digest;
		return provenanceText(makeProvenance({ plan: this.#plan, subjects, found: read.materials }));
	}

	#finish(parts: Record<PartName, Part>, made: Made): AssembledImage {
		const { platform, rootfs, guest } = this.#plan;
		const commandLine = commandLineFor(platform, rootfs.format, made.verity);
		const manifest: ImageManifest = {
			schema: "vouch.image/v1",
			platform,
			rootfsFormat: rootfs.format,
			verity: made.verity,
			commandLine,
			parts,
			config: made.read.config,
			reference: {
				kernelVersion: made.boot.kernel.release,
				kernelDigest: parts.kernel.digest,
				initramfsDigest: parts.initramfs.digest,
				commandLineDigest: digestOf(commandLine),
				guestDigest: guest.digest,
				guestGeneration: guest.generation,
			},
		};
		const names = Object.keys(parts) as PartName[];
		const files = Object.fromEntries(names.map((name) => [name, { path: this.#path(name) }]));
		return { manifest, files: files as Record<PartName, { path: string }> };
	}

	async #write(name: Exclude<PartName, "disk">, content: Uint8Array | string): Promise<Part> {
		const bytes = Buffer.from(content);
		await writeFile(this.#path(name), bytes);
		return { mediaType: PART_MEDIA_TYPES[name], digest: digestOf(bytes), size: bytes.length };
	}

	#path(name: PartName): string {
		return join(this.#options.partFolder, name);
	}
}

interface Boot {
	readonly kernel: Kernel;
	readonly initramfs: Uint8Array;
}

interface Made {
	readonly read: ReadRootfs;
	readonly verity: Verity;
	readonly boot: Boot;
}

function packagesOf(source: SourceInput | ContextInput): readonly PackagePin[] {
	if (source.kind === "debian") return source.packages;
	return source.kind === "dockerfile" ? Object.values(source.contexts).flatMap(packagesOf) : [];
}
