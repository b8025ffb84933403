import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { canonicalJson, type Digest, digestOf, hexOfDigest, type Json } from "../../../core/index.ts";
import { fail } from "../../failures.ts";
import { architectureOf } from "../../guest.ts";
import type { Platform } from "../../schema.ts";

export interface Descriptor {
	readonly mediaType: string;
	readonly digest: Digest;
	readonly size: number;
}

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

/**
 * An OCI layout in that folder whose one image has the tar as its one layer, unpacked from gzip or zstd; the digest of its
 * manifest. Throws VouchError `dockerfile-impossible`, or the reading's error.
 */
export async function writeLayout(tarPath: string, folder: string, platform: Platform): Promise<Digest> {
	await mkdir(join(folder, "blobs/sha256"), { recursive: true });
	const layer = await writeLayer(tarPath, folder);
	const config = await writeBlob(folder, "application/vnd.oci.image.config.v1+json", {
		architecture: architectureOf(platform),
		os: "linux",
		config: {},
		rootfs: { type: "layers", diff_ids: [layer.digest] },
	});
	const manifest = await writeBlob(folder, MANIFEST, {
		schemaVersion: 2,
		mediaType: MANIFEST,
		config: { ...config },
		layers: [{ ...layer }],
	});
	await writeIndex(folder, manifest);
	return manifest.digest;
}

/** `oci-layout` and `index.json` that name one manifest. */
export async function writeIndex(folder: string, { mediaType, digest, size }: Descriptor): Promise<void> {
	await writeFile(join(folder, "oci-layout"), canonicalJson({ imageLayoutVersion: "1.0.0" }));
	const index = { schemaVersion: 2, manifests: [{ mediaType, digest, size }] };
	await writeFile(join(folder, "index.json"), canonicalJson(index));
}

async function writeBlob(folder: string, mediaType: string, document: Json): Promise<Descriptor> {
	const bytes = Buffer.from(canonicalJson(document));
	const digest = digestOf(bytes);
	await writeFile(join(folder, "blobs/sha256", hexOfDigest(digest)), bytes);
	return { mediaType, digest, size: bytes.length };
}

async function writeLayer(tarPath: string, folder: string): Promise<Descriptor> {
	const arriving = join(folder, "blobs/sha256/arriving");
	const hash = createHash("sha256");
	let size = 0;
	await pipeline(
		createReadStream(tarPath),
		await decompression(tarPath),
		async function* (chunks: AsyncIterable<Buffer>) {
			for await (const chunk of chunks) {
				hash.update(chunk);
				size += chunk.length;
				yield chunk;
			}
		},
		createWriteStream(arriving),
	);
	const hex = hash.digest("hex");
	await rename(arriving, join(folder, "blobs/sha256", hex));
	return { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: `sha256:${hex}` as Digest, size };
}

async function decompression(tarPath: string): Promise<Transform> {
	await using file = await open(tarPath);
	const { buffer } = await file.read(Buffer.alloc(6), 0, 6, 0);
	const magic = buffer.toString("hex");
	if (magic.startsWith("1f8b")) return createGunzip();
	if (magic.startsWith("28b52ffd")) return createZstdDecompress();
	if (magic !== "fd377a585a00") return new PassThrough();
	const reason = "a named context can't be compressed with xz; use gzip, zstd or none";
	throw fail("dockerfile-impossible", { source: tarPath, reason });
}
