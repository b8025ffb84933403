import { createCipheriv } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf, digestOfJson, type Json } from "../../core/index.ts";
import { formatVerity } from "../artifacts/verity/index.ts";
import { type ImageManifest, PART_MEDIA_TYPES, type PartName, type Platform } from "../schema.ts";
import { type ImageStore, measureFile, type StoredImage } from "../store/index.ts";

export interface SampleOptions {
	/** Before the hash tree; a multiple of 4096. */
	readonly dataBytes?: number;
	/** Another one gives another image. */
	readonly seed?: number;
	readonly platform?: Platform;
}

const SALT = "00".repeat(32);
const UUID = "00000000-0000-4000-8000-000000000001";

/** An image that is right in every digest and would not boot: for tests of what stores and moves images. */
export async function addSampleImage(store: ImageStore, options: SampleOptions = {}): Promise<StoredImage> {
	const { dataBytes = 64 * 1024, seed = 1, platform = "linux/amd64" } = options;
	const scratch = await store.scratch();
	try {
		const folder = join(scratch.directory, "sample");
		await mkdir(folder);
		const contents: Readonly<Record<PartName, Uint8Array>> = {
			disk: noise(seed, dataBytes),
			kernel: noise(seed + 1000, 50_000),
			initramfs: noise(seed + 2000, 30_000),
			sbom: Buffer.from(JSON.stringify({ spdxVersion: "SPDX-2.3", packages: Array(200).fill({ name: "sample" }) })),
			provenance: Buffer.alloc(0),
		};
		for (const [name, bytes] of Object.entries(contents)) await writeFile(join(folder, name), bytes);
		const verity = await formatVerity(join(folder, "disk"), { salt: SALT, uuid: UUID });
		const plan = {
			platform,
			rootfs: { format: "erofs" },
			verity: { salt: SALT, uuid: UUID },
			guest: { digest: digestOf("guest"), generation: 1 },
		};
		await writeFile(join(folder, "provenance"), JSON.stringify(await statementOf(folder, plan)));
		const parts = await partsOf(folder);
		const tree = `1:sha256:4096:${verity.dataBlocks}:${verity.hashOffset / 4096 + 1}:${SALT}:${verity.rootHash}`;
		const commandLine = `console=ttyS0 quiet panic=-1 reboot=t vouch.rootfs=erofs vouch.verity=${tree}`;
		const manifest: ImageManifest = {
			schema: "vouch.image/v1",
			platform,
			rootfsFormat: "erofs",
			verity,
			commandLine,
			parts,
			config: { entrypoint: [], command: ["/bin/app"], environment: [], workingDirectory: "/", user: "" },
			reference: {
				kernelVersion: "6.1.0-sample",
				kernelDigest: parts.kernel.digest,
				initramfsDigest: parts.initramfs.digest,
				commandLineDigest: digestOf(commandLine),
				guestDigest: digestOf("guest"),
				guestGeneration: 1,
			},
		};
		const paths = Object.fromEntries(Object.keys(contents).map((name) => [name, { path: join(folder, name) }]));
		const digest = await store.add(manifest, paths);
		const image = await store.resolve(digest);
		if (image === undefined) throw new Error("the sample is not in the store");
		return image;
	} finally {
		await scratch.remove();
	}
}

/** As the build writes it, as far as anything here reads it. */
async function statementOf(folder: string, plan: Json): Promise<object> {
	const built = ["disk", "kernel", "initramfs", "sbom"].map(async (name) => {
		const { digest } = await measureFile(join(folder, name));
		return { name, digest: { sha256: digest.slice("sha256:".length) } };
	});
	return {
		_type: "https://in-toto.io/Statement/v1",
		subject: await Promise.all(built),
		predicateType: "https://slsa.dev/provenance/v1",
		predicate: {
			buildDefinition: {
				buildType: "https://vouch.example/image/v1",
				internalParameters: { planDigest: digestOfJson(plan), plan },
				resolvedDependencies: [{ uri: "pkg:deb/debian/sample@1", digest: { sha256: "0".repeat(64) } }],
			},
		},
	};
}

async function partsOf(folder: string): Promise<ImageManifest["parts"]> {
	const names = Object.keys(PART_MEDIA_TYPES) as PartName[];
	const rows = names.map(async (name) => {
		const { digest, sizeBytes } = await measureFile(join(folder, name));
		return [name, { mediaType: PART_MEDIA_TYPES[name], digest, size: sizeBytes }] as const;
	});
	return Object.fromEntries(await Promise.all(rows)) as ImageManifest["parts"];
}

/** Bytes that don't compress, the same for the same seed. */
function noise(seed: number, bytes: number): Buffer {
	const key = Buffer.alloc(16);
	key.writeUInt32LE(seed);
	return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}
