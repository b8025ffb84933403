import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Readable, Transform } from "node:stream";
import { z } from "zod";
import { type Digest, digestOf, digestSchema, hexOfDigest } from "../../core/index.ts";

/** OCI image-spec 1.0 and Docker's schema 2, as far as unpacking needs them. */
const descriptorSchema = z.looseObject({
	mediaType: z.string(),
	digest: digestSchema,
	size: z.int().nonnegative(),
	platform: z.looseObject({ architecture: z.string(), os: z.string() }).optional(),
	annotations: z.record(z.string(), z.string()).optional(),
});
type Descriptor = z.infer<typeof descriptorSchema>;

const indexSchema = z.looseObject({ manifests: z.array(descriptorSchema).max(1000) });
const manifestSchema = z.looseObject({ layers: z.array(descriptorSchema).max(1000) });

const MAX_DOCUMENT_BYTES = 4 * 2 ** 20;
const MAX_INDEX_DEPTH = 4;
const TAG = "org.opencontainers.image.ref.name";
/** Go's names of Node's `process.arch`. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

export interface LayoutImage {
	/** Digest of the manifest: names exactly these layers. */
	readonly manifest: Digest;
	readonly layers: readonly Descriptor[];
}

/** The image of a layout for this machine. Throws Error with one sentence when there is none or more than one. */
export async function readLayout(directory: string, tag: string | null): Promise<LayoutImage> {
	const index = indexSchema.parse(JSON.parse(await readFile(join(directory, "index.json"), "utf8")));
	const tagged =
		tag === null ? index.manifests : index.manifests.filter(({ annotations }) => annotations?.[TAG] === tag);
	const [only, ...others] = tagged;
	if (only === undefined)
		throw new Error(tag === null ? "the layout is empty" : `the layout has no image tagged ${tag}`);
	if (others.length > 0 && tag === null) throw new Error("the layout has several images: name one as oci:FOLDER:TAG");
	return resolveManifest(directory, only, 0);
}

async function resolveManifest(directory: string, descriptor: Descriptor, depth: number): Promise<LayoutImage> {
	const document: unknown = JSON.parse(await readDocument(directory, descriptor));
	const manifest = manifestSchema.safeParse(document);
	if (manifest.success) return { manifest: descriptor.digest, layers: manifest.data.layers };
	if (depth >= MAX_INDEX_DEPTH) throw new Error("its indexes are nested too deep");
	const wanted = ARCHITECTURES[process.arch];
	const fitting = indexSchema
		.parse(document)
		.manifests.find(
			({ platform }) => platform === undefined || (platform.os === "linux" && platform.architecture === wanted),
		);
	if (fitting === undefined) throw new Error(`it has no image for linux/${wanted ?? process.arch}`);
	return resolveManifest(directory, fitting, depth + 1);
}

async function readDocument(directory: string, descriptor: Descriptor): Promise<string> {
	const path = blobPath(directory, descriptor);
	if ((await stat(path)).size > MAX_DOCUMENT_BYTES) throw new Error(`${descriptor.digest} is too large for a manifest`);
	const bytes = await readFile(path);
	if (digestOf(bytes) !== descriptor.digest) throw new Error(`${descriptor.digest} has other contents`);
	return bytes.toString("utf8");
}

function blobPath(directory: string, { digest }: Descriptor): string {
	return join(directory, "blobs", "sha256", hexOfDigest(digest));
}

/** The stored bytes of a layer. The stream fails at its end when they are not those that the digest names. */
export function openLayer(directory: string, layer: Descriptor): Readable {
	const hash = createHash("sha256");
	const checked = new Transform({
		transform: (chunk: Buffer, _encoding, done) => {
			hash.update(chunk);
			done(null, chunk);
		},
		flush: (done) => {
			const found = `sha256:${hash.digest("hex")}`;
			done(found === layer.digest ? null : new Error(`${layer.digest} has other contents`));
		},
	});
	const source = createReadStream(blobPath(directory, layer));
	source.on("error", (error) => checked.destroy(error));
	return source.pipe(checked);
}
