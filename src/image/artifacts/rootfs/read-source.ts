import { statSync } from "node:fs";
import { printablePath } from "../../../host/index.ts";
import { type StoredArchive, type StreamContext, streamArchive } from "./archive-stream.ts";
import { Budget } from "./budget.ts";
import { compressionOf } from "./compression.ts";
import { fail } from "./failures.ts";
import { applyLayer, checkDepth } from "./flatten.ts";
import { readFolder } from "./folder.ts";
import { Layer, type WhiteoutRule } from "./layer.ts";
import { findDockerImage } from "./layout/docker.ts";
import { archiveFiles, folderFiles, type LayoutFiles } from "./layout/files.ts";
import type { FoundImage } from "./layout/image.ts";
import { findOciImage, type ImageChoice } from "./layout/oci.ts";
import { rawOfText } from "./raw-text.ts";
import { severalAtOnce } from "./several.ts";
import {
	DEFAULT_LIMITS,
	NO_CONFIG,
	type ReadOptions,
	type ReadRootfs,
	Refusal,
	type RootfsSource,
	type SourceMaterial,
} from "./source.ts";
import { type ByteStore, openSource, spoolMemory } from "./stores.ts";
import { TarReader } from "./tar/reader.ts";
import { directoryNode, type RootfsTree } from "./tree.ts";

/**
 * The tree of a source. Nothing is unpacked: contents stay in the source, or wait decompressed in files without a name. Close it
 * when it is packed. Throws VouchError `rootfs-missing`, `rootfs-refused`, `rootfs-unreadable` or `rootfs-changed`, or the
 * signal's reason.
 */
export async function readSource(source: RootfsSource, options: ReadOptions): Promise<ReadRootfs> {
	options.signal?.throwIfAborted();
	const reading = new Reading(source, options);
	try {
		return await reading.run();
	} catch (error) {
		reading.close();
		const shown = printablePath(rawOfText(source.path));
		if (error instanceof Refusal) {
			throw fail("rootfs-refused", { source: shown, entry: error.entry, reason: error.message }, error);
		}
		throw error;
	}
}

type Read = Omit<ReadRootfs, "close" | typeof Symbol.asyncDispose>;

class Reading {
	readonly #source: RootfsSource;
	readonly #options: ReadOptions;
	readonly #budget: Budget;
	readonly #stores = new Set<ByteStore>();
	readonly #memory = spoolMemory();
	#doneBytes = 0;
	#totalBytes: number | null = null;

	constructor(source: RootfsSource, options: ReadOptions) {
		this.#source = source;
		this.#options = options;
		this.#budget = new Budget({ ...DEFAULT_LIMITS, ...options.limits });
	}

	async run(): Promise<ReadRootfs> {
		const read = await this.#read();
		const close = async () => this.close();
		return { ...read, close, [Symbol.asyncDispose]: close };
	}

	close(): void {
		for (const store of this.#stores) store.close();
		this.#stores.clear();
	}

	async #read(): Promise<Read> {
		const { path, kind } = this.#source;
		const stats = statSync(path, { throwIfNoEntry: false });
		const isFolder = kind === "folder" || kind === "oci-layout";
		const reason = stats === undefined ? "it is not there" : `it is no ${isFolder ? "folder" : "file"}`;
		if (stats === undefined || (isFolder ? !stats.isDirectory() : !stats.isFile())) {
			throw fail("rootfs-missing", { source: printablePath(rawOfText(path)), reason });
		}
		switch (this.#source.kind) {
			case "folder": {
				const tree = await readFolder(path, this.#budget.limits, this.#options.signal);
				return { tree, config: NO_CONFIG, materials: [] };
			}
			case "tar":
				return this.#readTar(this.#open());
			case "oci-layout":
				return this.#readImage(findOciImage(folderFiles(path, this.#keep), this.#choice(this.#source.tag)));
			case "oci-archive":
				return this.#readImage(findOciImage(await this.#archive(), this.#choice(this.#source.tag)));
			case "docker-archive":
				return this.#readImage(findDockerImage(await this.#archive(), this.#choice(this.#source.tag)));
		}
	}

	readonly #keep = (store: ByteStore): void => {
		this.#stores.add(store);
	};

	#open(): ByteStore {
		const store = openSource(this.#source.path, printablePath(rawOfText(this.#source.path)));
		this.#keep(store);
		return store;
	}

	#choice(tag: string | null): ImageChoice {
		return { tag, platform: this.#options.platform, maxLayers: this.#budget.limits.maxLayers };
	}

	#context(signal: AbortSignal | undefined): StreamContext {
		return {
			options: { ...this.#options, signal },
			budget: this.#budget,
			memory: this.#memory,
			keep: this.#keep,
			progress: (bytes) => {
				this.#doneBytes += bytes;
				this.#options.progress?.(this.#doneBytes, this.#totalBytes);
			},
		};
	}

	async #readTar(store: ByteStore): Promise<Read> {
		this.#totalBytes = store.sizeBytes;
		const tree = { root: directoryNode() };
		const archive = { shown: "the archive", store };
		const { layer, digest } = await this.#readLayer(archive, "plain-names", this.#options.signal);
		if (layer.entries === 0) throw new Refusal("the archive", "it is empty");
		this.#apply(tree, layer);
		return { tree, config: NO_CONFIG, materials: [{ name: "archive", digest, sizeBytes: store.sizeBytes }] };
	}

	async #readImage({ layers, config, materials }: FoundImage): Promise<Read> {
		this.#totalBytes = this.#doneBytes + layers.reduce((sum, { store }) => sum + store.sizeBytes, 0);
		const tree = { root: directoryNode() };
		const all: SourceMaterial[] = [...materials];
		const read = await severalAtOnce(layers, this.#options.signal, (layer, signal) =>
			this.#readLayer(layer, "whiteouts", signal),
		);
		for (const [index, { layer, digest, sizeBytes }] of read.entries()) {
			this.#apply(tree, layer);
			all.push({ name: `layer-${index}`, digest, sizeBytes });
		}
		return { tree, config, materials: all };
	}

	async #readLayer(archive: StoredArchive, rule: WhiteoutRule, signal: AbortSignal | undefined) {
		const layer = new Layer(this.#budget, rule);
		const { digest } = await streamArchive(archive, this.#context(signal), (contents) => {
			return new TarReader((entry) => layer.add(entry, contents));
		});
		layer.finish();
		return { layer, digest, sizeBytes: archive.store.sizeBytes };
	}

	#apply(tree: RootfsTree, layer: Layer): void {
		applyLayer(tree, layer);
		checkDepth(tree, this.#budget.limits.maxDepth);
	}

	/** The files of an archive; one that is compressed as a whole is decompressed into a spool first. */
	async #archive(): Promise<LayoutFiles> {
		const store = this.#open();
		if (compressionOf(store) === "none") return archiveFiles(store, this.#budget);
		this.#totalBytes = store.sizeBytes;
		const archive = { shown: "the archive", store };
		const unread = { push: () => {}, end: () => {} };
		const { contents } = await streamArchive(archive, this.#context(this.#options.signal), () => unread);
		return archiveFiles(contents, this.#budget);
	}
}
