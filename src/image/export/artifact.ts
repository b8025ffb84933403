import { z } from "zod";
import { canonicalJson, type Digest, digestOf, digestSchema, parseJsonStrict } from "../../core/index.ts";
import { PART_MEDIA_TYPES, type Part, type PartName } from "../schema.ts";
import { ForeignImage, MAX_IMAGE_DOCUMENT_BYTES, PART_NAMES } from "./image-document.ts";

/** An image as an OCI artifact (image-spec 1.1, "Guidelines for Artifact Usage"): its config is image.json, its layers the parts. */
export const ARTIFACT_TYPE = "application/vnd.vouch.image.v1";
export const IMAGE_DOCUMENT_TYPE = "application/vnd.vouch.image.manifest.v1+json";
export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
export const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";
const TITLE = "org.opencontainers.image.title";
const ZSTD = "+zstd";
const MAX_PIECES = 4096;

/** One layer: a stretch of a part, as it is or compressed. A part is its pieces, one after the other. */
export interface Piece {
	readonly part: PartName;
	readonly digest: Digest;
	/** Bytes of the blob. */
	readonly size: number;
	readonly compression: "none" | "zstd";
}

export interface Descriptor {
	readonly digest: Digest;
	readonly size: number;
}

export interface Artifact {
	readonly config: Descriptor;
	readonly pieces: readonly Piece[];
}

const FILE_NAMES: Readonly<Record<PartName, string>> = {
	disk: "disk.img",
	kernel: "kernel",
	initramfs: "initramfs",
	sbom: "sbom.spdx.json",
	provenance: "provenance.intoto.json",
};

/** How the parts are called where people see them as files. */
export function partFileName(part: PartName): string {
	return FILE_NAMES[part];
}

/** Bytes of the OCI manifest. The same image and pieces give the same bytes. */
export function writeArtifact({ config, pieces }: Artifact): Uint8Array {
	const layers = PART_NAMES.flatMap((part) => {
		const own = pieces.filter((piece) => piece.part === part);
		return own.map(({ digest, size, compression }, at) => ({
			mediaType: `${PART_MEDIA_TYPES[part]}${compression === "zstd" ? ZSTD : ""}`,
			digest,
			size,
			annotations: { [TITLE]: titleOf(part, compression, own.length === 1 ? "" : `.${String(at).padStart(4, "0")}`) },
		}));
	});
	return Buffer.from(
		canonicalJson({
			schemaVersion: 2,
			mediaType: MANIFEST_TYPE,
			artifactType: ARTIFACT_TYPE,
			config: { mediaType: IMAGE_DOCUMENT_TYPE, ...config },
			layers,
		}),
	);
}

function titleOf(part: PartName, compression: Piece["compression"], number: string): string {
	return `${FILE_NAMES[part]}${number}${compression === "zstd" ? ".zst" : ""}`;
}

const descriptorSchema = z.object({
	mediaType: z.string().max(255),
	digest: digestSchema,
	size: z.int().nonnegative(),
});
const manifestSchema = z.object({
	schemaVersion: z.literal(2),
	mediaType: z.literal(MANIFEST_TYPE),
	artifactType: z.literal(ARTIFACT_TYPE),
	config: descriptorSchema.extend({
		mediaType: z.literal(IMAGE_DOCUMENT_TYPE),
		size: z.int().positive().max(MAX_IMAGE_DOCUMENT_BYTES),
	}),
	layers: z.array(descriptorSchema).max(MAX_PIECES),
});

/** Throws ForeignImage. */
export function readArtifact(bytes: Uint8Array): Artifact {
	const { config, layers } = parseDocument(bytes, manifestSchema, "its manifest is not that of a Vouch image");
	return { config: { digest: config.digest, size: config.size }, pieces: layers.map(pieceOf) };
}

function pieceOf({ mediaType, digest, size }: z.infer<typeof descriptorSchema>): Piece {
	const compression = mediaType.endsWith(ZSTD) ? "zstd" : "none";
	const plain = compression === "zstd" ? mediaType.slice(0, -ZSTD.length) : mediaType;
	const part = PART_NAMES.find((name) => PART_MEDIA_TYPES[name] === plain);
	if (part === undefined) throw new ForeignImage(`it has a layer of an unknown type (${mediaType})`);
	return { part, digest, size, compression };
}

/** The pieces of one part, which together can't be more than it. Throws ForeignImage. */
export function piecesOf({ pieces }: Artifact, name: PartName, { size }: Part): readonly Piece[] {
	const own = pieces.filter(({ part }) => part === name);
	// A piece is compressed only where that makes it smaller.
	const stored = own.reduce((sum, piece) => sum + piece.size, 0);
	if (own.length === 0) throw new ForeignImage(`it lacks its ${name}`);
	if (stored > size) throw new ForeignImage(`the layers of its ${name} are larger than it`);
	return own;
}

const platformSchema = z.object({ os: z.string().max(64), architecture: z.string().max(64) });
const indexSchema = z.object({
	schemaVersion: z.literal(2),
	manifests: z
		.array(
			descriptorSchema.extend({
				artifactType: z.string().max(255).optional(),
				platform: platformSchema.optional(),
				annotations: z.record(z.string(), z.string().max(1024)).optional(),
			}),
		)
		.max(256),
});

export interface IndexEntry extends Descriptor {
	/** An index within an index is what a registry's index of several platforms becomes in a layout. */
	readonly kind: "manifest" | "index";
	/** `linux/amd64`, or null when it isn't said. */
	readonly platform: string | null;
	/** What the entry is called in a layout on disk. */
	readonly name: string | null;
}

const REF_NAME = "org.opencontainers.image.ref.name";

/** The images in an index; other things in it are passed over. Throws ForeignImage. */
export function readIndex(bytes: Uint8Array): readonly IndexEntry[] {
	const { manifests } = parseDocument(bytes, indexSchema, "its index can't be read");
	return manifests
		.filter(({ mediaType }) => mediaType === MANIFEST_TYPE || mediaType === INDEX_TYPE)
		.filter(({ artifactType }) => artifactType === undefined || artifactType === ARTIFACT_TYPE)
		.map(({ mediaType, digest, size, platform, annotations }) => ({
			kind: mediaType === INDEX_TYPE ? "index" : "manifest",
			digest,
			size,
			platform: platform === undefined ? null : `${platform.os}/${platform.architecture}`,
			name: annotations?.[REF_NAME] ?? null,
		}));
}

export function writeIndex(entries: readonly Omit<IndexEntry, "kind">[]): Uint8Array {
	const manifests = entries.map(({ digest, size, platform, name }) => {
		const [os = "", architecture = ""] = (platform ?? "").split("/");
		return {
			mediaType: MANIFEST_TYPE,
			artifactType: ARTIFACT_TYPE,
			digest,
			size,
			...(platform !== null && { platform: { os, architecture } }),
			...(name !== null && { annotations: { [REF_NAME]: name } }),
		};
	});
	return Buffer.from(canonicalJson({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests }));
}

/** Whether the bytes are an index rather than a manifest: told by what they say, as registries' headers can be wrong. */
export function isIndex(bytes: Uint8Array): boolean {
	const kind = z.object({ manifests: z.array(z.unknown()) });
	try {
		return kind.safeParse(parseJsonStrict(Buffer.from(bytes).toString("utf8"))).success;
	} catch {
		return false;
	}
}

function parseDocument<T>(bytes: Uint8Array, schema: z.ZodType<T>, complaint: string): T {
	try {
		return schema.parse(parseJsonStrict(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
	} catch (error) {
		throw new ForeignImage(complaint, { cause: error });
	}
}

export function descriptorOf(bytes: Uint8Array): Descriptor {
	return { digest: digestOf(bytes), size: bytes.length };
}
