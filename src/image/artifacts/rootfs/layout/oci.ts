import type { z } from "zod";
import { digestOf, hexOfDigest } from "../../../../core/index.ts";
import type { Platform } from "../../../schema.ts";
import { Refusal, type SourceMaterial } from "../source.ts";
import type { ByteStore } from "../stores.ts";
import { type LayoutFiles, parseDocument } from "./files.ts";
import { type FoundImage, imageOf, isFor } from "./image.ts";
import {
	type Descriptor,
	imageConfigSchema,
	indexSchema,
	layoutMarkerSchema,
	type Manifest,
	manifestSchema,
} from "./schema.ts";

const TAG = "org.opencontainers.image.ref.name";
/** What BuildKit puts beside images: signed statements, which no platform runs. */
const ATTESTATION = "vnd.docker.reference.type";
const MAX_INDEX_DEPTH = 4;
const MAX_DOCUMENTS = 100;

/** `application/vnd.oci.image.layer.v1.tar+gzip`, `application/vnd.docker.image.rootfs.diff.tar.gzip`, their foreign kin. */
const LAYER_TYPE =
	/^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+(?:gzip|zstd))?|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.(?:gzip|zstd))?)$/;

export interface ImageChoice {
	readonly tag: string | null;
	readonly platform: Platform;
	readonly maxLayers: number;
}

/** The image of a layout (OCI image-spec image-layout.md) for a platform. Throws Refusal. */
export function findOciImage(files: LayoutFiles, choice: ImageChoice): FoundImage {
	return new OciLayout(files, choice).find();
}

interface Candidate {
	readonly descriptor: Descriptor;
	/** Unknown when no descriptor on the way names one: then the config does. */
	readonly platform: "wanted" | "unknown";
}

class OciLayout {
	readonly #files: LayoutFiles;
	readonly #choice: ImageChoice;
	#documents = 0;
	readonly #seen = new Set<string>();

	constructor(files: LayoutFiles, choice: ImageChoice) {
		this.#files = files;
		this.#choice = choice;
	}

	find(): FoundImage {
		checked(layoutMarkerSchema, this.#named("oci-layout"), "oci-layout");
		const { manifests } = checked(indexSchema, this.#named("index.json"), "index.json");
		const { tag } = this.#choice;
		const tagged = tag === null ? manifests : manifests.filter(({ annotations }) => annotations?.[TAG] === tag);
		if (tagged.length === 0) {
			throw new Refusal("index.json", tag === null ? "the layout is empty" : `the layout has no image tagged ${tag}`);
		}
		const images = tagged.flatMap((descriptor) => this.#candidates(descriptor, 0).slice(0, 1));
		const [only, ...others] = [...new Map(images.map((image) => [image.descriptor.digest, image])).values()];
		const { platform } = this.#choice;
		if (only === undefined) {
			const there = [...this.#seen].sort().join(", ") || "none";
			throw new Refusal("index.json", `it has no image for ${platform}; there is ${there}`);
		}
		if (others.length > 0) {
			throw new Refusal("index.json", `it has several images for ${platform}: say which one by its tag`);
		}
		return this.#image(only.descriptor);
	}

	/** Images for the wanted platform that a descriptor leads to, those that say so first. */
	#candidates(descriptor: Descriptor, depth: number): readonly Candidate[] {
		const { platform, annotations } = descriptor;
		if (annotations?.[ATTESTATION] !== undefined) return [];
		if (platform !== undefined && !isFor(platform, this.#choice.platform)) {
			this.#seen.add(`${platform.os}/${platform.architecture}`);
			return [];
		}
		const document = this.#document(descriptor);
		if (!isIndex(document)) {
			if (platform !== undefined) return [{ descriptor, platform: "wanted" }];
			return this.#fits(document, descriptor) ? [{ descriptor, platform: "unknown" }] : [];
		}
		if (depth >= MAX_INDEX_DEPTH) throw new Refusal(descriptor.digest, "its indexes are nested too deep");
		const { manifests } = checked(indexSchema, document, descriptor.digest);
		const inner = manifests.flatMap((one) => this.#candidates(one, depth + 1));
		return inner.toSorted((left, right) => Number(left.platform === "unknown") - Number(right.platform === "unknown"));
	}

	/** What a manifest without a platform is for stands in its config. */
	#fits(document: unknown, { digest }: Descriptor): boolean {
		const { config } = checked(manifestSchema, document, digest);
		const found = checked(imageConfigSchema, this.#document(config), config.digest);
		const fits = isFor(found, this.#choice.platform);
		if (!fits) this.#seen.add(`${found.os}/${found.architecture}`);
		return fits;
	}

	#image(descriptor: Descriptor): FoundImage {
		const manifest = checked(manifestSchema, this.#document(descriptor), descriptor.digest);
		if (manifest.layers.length > this.#choice.maxLayers) {
			throw new Refusal(descriptor.digest, `it has ${manifest.layers.length} layers`);
		}
		const config = checked(imageConfigSchema, this.#document(manifest.config), manifest.config.digest);
		return imageOf(config, this.#layers(manifest), {
			platform: this.#choice.platform,
			shown: manifest.config.digest,
			materials: [material("manifest", descriptor), material("config", manifest.config)],
		});
	}

	#layers({ layers }: Manifest): FoundImage["layers"] {
		return layers.map((layer) => {
			if (!LAYER_TYPE.test(layer.mediaType)) {
				throw new Refusal(layer.digest, `it is no layer of files but ${layer.mediaType}`);
			}
			return { shown: `layer ${layer.digest}`, store: this.#blob(layer), digest: layer.digest };
		});
	}

	#named(path: string): unknown {
		const bytes = this.#files.read(path);
		if (bytes === undefined) throw new Refusal(path, ABSENT);
		return parseDocument(bytes, path);
	}

	/** A JSON blob whose bytes are those that its descriptor names. */
	#document(descriptor: Descriptor): unknown {
		const { digest, mediaType } = descriptor;
		this.#documents += 1;
		if (this.#documents > MAX_DOCUMENTS) {
			throw new Refusal(digest, `the layout leads to over ${MAX_DOCUMENTS} documents`);
		}
		const bytes = this.#files.read(pathOf(descriptor));
		checkSize(descriptor, bytes?.length);
		if (bytes === undefined || digestOf(bytes) !== digest) {
			throw new Refusal(digest, "its contents are not those that its digest names");
		}
		const document = parseDocument(bytes, digest);
		const own =
			typeof document === "object" && document !== null && "mediaType" in document ? document.mediaType : undefined;
		// CVE-2021-41190: one document must not be read as a manifest by one program and as an index by another.
		if (own !== undefined && own !== mediaType) {
			throw new Refusal(digest, `it says that it is ${JSON.stringify(own)}, and what leads to it says ${mediaType}`);
		}
		return document;
	}

	#blob(descriptor: Descriptor): ByteStore {
		const store = this.#files.open(pathOf(descriptor));
		checkSize(descriptor, store?.sizeBytes);
		if (store === undefined) throw new Refusal(descriptor.digest, ABSENT);
		return store;
	}
}

const ABSENT = "the layout does not have it";

function pathOf({ digest }: Descriptor): string {
	return `blobs/sha256/${hexOfDigest(digest)}`;
}

function checkSize({ digest, size }: Descriptor, foundBytes: number | undefined): void {
	if (foundBytes === undefined) throw new Refusal(digest, ABSENT);
	if (foundBytes !== size) throw new Refusal(digest, `it has ${foundBytes} bytes instead of ${size}`);
}

function isIndex(document: unknown): boolean {
	if (typeof document !== "object" || document === null || !("manifests" in document)) return false;
	if ("layers" in document || "config" in document) {
		throw new Refusal("an index", "it is a manifest and an index at once");
	}
	return true;
}

function checked<T>(schema: z.ZodType<T>, document: unknown, shown: string): T {
	const parsed = schema.safeParse(document);
	if (parsed.success) return parsed.data;
	const [issue] = parsed.error.issues;
	const where = issue?.path.join(".") || "it";
	throw new Refusal(shown, `${where} is not as the image-spec has it: ${issue?.message ?? "unknown"}`);
}

function material(name: string, { digest, size }: Descriptor): SourceMaterial {
	return { name, digest, sizeBytes: size };
}
