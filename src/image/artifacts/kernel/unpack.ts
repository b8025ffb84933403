import { basename } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { Host } from "../../../host/index.ts";
import type { Platform, RootfsFormat } from "../../schema.ts";
import { digestOfFile } from "./cached-file.ts";
import { fail } from "./failures.ts";
import { checkedImage, programOfBzImage } from "./kernel-image.ts";
import { type ModuleInfo, moduleInfoOf, moduleName, withoutSignature } from "./modinfo.ts";
import { builtInModules, loadOrder } from "./module-order.ts";
import { type PackageFiles, readPackage } from "./package-files.ts";
import { modulesFor, PLATFORMS } from "./platforms.ts";
import { KernelRefusal } from "./refusal.ts";
import { keepUnpacked, readUnpacked, unpackedKey } from "./unpacked-cache.ts";
import { unxz } from "./xz.ts";

export interface KernelModule {
	/** With `.ko`. */
	readonly name: string;
	/** Not compressed, not signed. */
	readonly bytes: Uint8Array;
}

export interface Kernel {
	/** What `uname -r` says in the guest. */
	readonly release: string;
	/** The image's kernel part: what a virtual machine monitor starts. */
	readonly bytes: Uint8Array;
	/** In the order that they are loaded in. */
	readonly modules: readonly KernelModule[];
}

export interface UnpackOptions {
	readonly platform: Platform;
	readonly host: Host;
	/** What was taken apart once is kept below `kernels/` of it. */
	readonly cacheDirectory: string;
	/** Decides which file systems the guest needs. */
	readonly rootfsFormat: RootfsFormat;
	readonly signal?: AbortSignal | undefined;
}

/** Takes a kernel's package apart. Throws VouchError `kernel-refused` or `kernel-program-missing`, or the signal's reason. */
export async function unpackKernel(deb: string, options: UnpackOptions): Promise<Kernel> {
	const { cacheDirectory, platform, rootfsFormat, signal } = options;
	const digest = await digestOfFile(deb, signal);
	if (digest === undefined) throw fail("kernel-refused", { path: deb, reason: "it isn't there" });
	const modules = modulesFor(rootfsFormat);
	const key = unpackedKey({ deb: digest, platform, modules: [...modules] });
	const kept = await readUnpacked(cacheDirectory, key);
	if (kept !== undefined) return kept;
	try {
		const kernel = await takeApart(await readPackage(options.host, deb, signal), modules, options);
		await keepUnpacked(cacheDirectory, key, kernel);
		return kernel;
	} catch (error) {
		if (!(error instanceof KernelRefusal)) throw error;
		throw fail("kernel-refused", { path: deb, reason: error.message }, error);
	}
}

async function takeApart(files: PackageFiles, wanted: readonly string[], options: UnpackOptions): Promise<Kernel> {
	const { platform, host, signal } = options;
	const { image, form } = PLATFORMS[platform];
	const boot = files.boot.get(image);
	if (boot === undefined) throw new KernelRefusal(`it has no ${image}`);
	const bytes = form === "bzimage" ? await programOfBzImage(host, boot, signal) : checkedImage(boot, form.magic);
	const modules = new Modules(files, options);
	const order = await loadOrder(wanted, modules);
	const loaded = await Promise.all(
		order.map(async (name): Promise<KernelModule> => ({ name: `${name}.ko`, bytes: await modules.bytesOf(name) })),
	);
	return { release: files.release, bytes, modules: loaded };
}

const MODULE_BYTES = 64 << 20;

/** The modules of a package, each decompressed when it is first asked for. */
class Modules {
	readonly builtIn: ReadonlySet<string>;
	readonly #options: UnpackOptions;
	readonly #paths = new Map<string, string>();
	readonly #files: PackageFiles;
	readonly #bytes = new Map<string, Promise<Buffer>>();

	constructor(files: PackageFiles, options: UnpackOptions) {
		this.#options = options;
		this.#files = files;
		const builtIn = files.modules.get("modules.builtin");
		if (builtIn === undefined) throw new KernelRefusal("it has no modules.builtin");
		this.builtIn = builtInModules(builtIn.toString("latin1"));
		for (const path of files.modules.keys()) {
			if (path !== "modules.builtin") this.#paths.set(moduleName(basename(path).replace(/\.ko(?:\..*)?$/, "")), path);
		}
	}

	async infoOf(name: string): Promise<ModuleInfo | undefined> {
		return this.#paths.has(name) ? this.#sayWhose(name, async () => moduleInfoOf(await this.bytesOf(name))) : undefined;
	}

	bytesOf(name: string): Promise<Buffer> {
		const known = this.#bytes.get(name);
		if (known !== undefined) return known;
		const bytes = this.#sayWhose(name, async () => withoutSignature(await this.#decompressed(name)));
		this.#bytes.set(name, bytes);
		return bytes;
	}

	async #decompressed(name: string): Promise<Buffer> {
		const path = this.#paths.get(name) ?? "";
		const bytes = this.#files.modules.get(path) ?? Buffer.alloc(0);
		const { host, signal } = this.#options;
		if (path.endsWith(".ko")) return bytes;
		if (path.endsWith(".xz")) return unxz(host, bytes, MODULE_BYTES, signal);
		if (path.endsWith(".zst")) return zstdDecompressSync(bytes, { maxOutputLength: MODULE_BYTES });
		if (path.endsWith(".gz")) return gunzipSync(bytes, { maxOutputLength: MODULE_BYTES });
		throw new KernelRefusal("it is compressed in an unknown way");
	}

	async #sayWhose<T>(name: string, work: () => Promise<T>): Promise<T> {
		try {
			return await work();
		} catch (error) {
			this.#options.signal?.throwIfAborted();
			throw new KernelRefusal(`its module ${name} can't be used: ${(error as Error).message}`, { cause: error });
		}
	}
}
