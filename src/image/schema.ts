import { z } from "zod";
import { digestSchema } from "../core/index.ts";

/** GOOS and GOARCH names, as OCI writes platforms. */
export const platformSchema = z.enum(["linux/amd64", "linux/arm64", "linux/riscv64"]);
export type Platform = z.infer<typeof platformSchema>;

/** How the root file system is packed. All of them are read-only and bit-identical wherever they are made. */
export const rootfsFormatSchema = z.enum(["erofs", "squashfs", "squashfs-uncompressed"]);
export type RootfsFormat = z.infer<typeof rootfsFormatSchema>;

const size = z.int().nonnegative();

/** One file of an image, named by its contents. */
export const partSchema = z.strictObject({ mediaType: z.string().max(255), digest: digestSchema, size });
export type Part = z.infer<typeof partSchema>;

export const PART_MEDIA_TYPES = {
	/** The packed root file system, then at `verity.hashOffset` the verity superblock and the hash tree. */
	disk: "application/vnd.vouch.image.disk.v1",
	kernel: "application/vnd.vouch.image.kernel.v1",
	/** newc cpio, uncompressed or gzip. */
	initramfs: "application/vnd.vouch.image.initramfs.v1",
	/** SPDX 2.3 JSON. */
	sbom: "application/spdx+json",
	/** in-toto Statement v1 with a SLSA v1 provenance predicate, canonical JSON. */
	provenance: "application/vnd.in-toto+json",
} as const;

/** dm-verity, as `veritysetup format` version 1 lays it out: superblock at `hashOffset`, tree one hash block later. */
export const veritySchema = z.strictObject({
	algorithm: z.literal("sha256"),
	dataBlockSize: z.literal(4096),
	hashBlockSize: z.literal(4096),
	dataBlocks: z.int().positive(),
	/** Bytes from the start of the disk to the superblock; a multiple of the hash block size. */
	hashOffset: z.int().positive(),
	/** Lower-case hex, 0 to 64 bytes. */
	salt: z.string().regex(/^([0-9a-f]{2}){0,64}$/),
	uuid: z.uuid(),
	rootHash: z.string().regex(/^[0-9a-f]{64}$/),
});
export type Verity = z.infer<typeof veritySchema>;

/** `image.json`: the SHA-256 of its canonical JSON is the image's name. Nothing in it depends on where or when it was built. */
export const imageManifestSchema = z.strictObject({
	schema: z.literal("vouch.image/v1"),
	platform: platformSchema,
	rootfsFormat: rootfsFormatSchema,
	verity: veritySchema,
	/**
	 * Kernel command line, whole but for what only the machine that boots it knows; it carries the root hash. A driver may append
	 * words and never changes these.
	 */
	commandLine: z.string().max(2048),
	parts: z.strictObject({
		disk: partSchema,
		kernel: partSchema,
		initramfs: partSchema,
		sbom: partSchema,
		provenance: partSchema,
	}),
	/** What an OCI image says of how to run it: defaults that `vouch run` does not need. */
	config: z.strictObject({
		entrypoint: z.array(z.string()),
		command: z.array(z.string()),
		environment: z.array(z.string()),
		workingDirectory: z.string(),
		user: z.string(),
	}),
	/** Facts for whoever predicts measurements: what a measured boot of this image must show. */
	reference: z.strictObject({
		kernelVersion: z.string(),
		kernelDigest: digestSchema,
		initramfsDigest: digestSchema,
		commandLineDigest: digestSchema,
		guestDigest: digestSchema,
		/** Highest generation of the guest protocol that the image's guest speaks. */
		guestGeneration: z.int().positive(),
	}),
});
export type ImageManifest = z.infer<typeof imageManifestSchema>;
export type PartName = keyof ImageManifest["parts"];
