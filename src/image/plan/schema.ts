import { z } from "zod";
import { digestSchema } from "../../core/index.ts";
import { platformSchema, rootfsFormatSchema } from "../schema.ts";

const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.+~:_-]*$/);

/** Form of C's `kernelPinSchema`, as data: this file imports schemas alone. */
export const kernelInputSchema = z.strictObject({
	package: word,
	version: word,
	architecture: z.enum(["amd64", "arm64", "riscv64"]),
	suite: word,
	archive: z.enum(["debian", "debian-security"]),
	path: z.string(),
	debDigest: digestSchema,
	sizeBytes: z.int().positive(),
});

/** One Debian package, so that it can be fetched from any mirror and recognised for sure. Holds no address. */
export const packagePinSchema = z.strictObject({
	name: word,
	version: word,
	architecture: word,
	archive: z.enum(["debian", "debian-security"]),
	/** Below the archive's root. */
	path: z.string().regex(/^pool\/(?:[A-Za-z0-9][A-Za-z0-9.+~:%_-]*\/)*[A-Za-z0-9][A-Za-z0-9.+~:%_-]*\.deb$/),
	debDigest: digestSchema,
	sizeBytes: z.int().positive(),
});
export type PackagePin = z.infer<typeof packagePinSchema>;

/** What a name meant when it was looked up. */
export const pinSchema = z.discriminatedUnion("kind", [
	z.strictObject({ kind: z.literal("kernel"), kernel: kernelInputSchema }),
	z.strictObject({ kind: z.literal("debian"), packages: z.array(packagePinSchema).min(1).max(20_000) }),
	z.strictObject({ kind: z.literal("image"), manifestDigest: digestSchema }),
]);
export type Pin = z.infer<typeof pinSchema>;

/** `vouch-image.lock`: pins by what was looked up, so that others get the same inputs. */
export const lockSchema = z.strictObject({
	schema: z.literal("vouch.image-lock/v1"),
	pins: z.record(z.string(), pinSchema),
});
export type Pins = z.infer<typeof lockSchema>["pins"];

/** `treeDigest` of a context is that of the folder as it is staged, see `contextDigest`. */
const treeInput = z.strictObject({ kind: z.literal("folder"), treeDigest: digestSchema });
const fileInput = z.strictObject({
	kind: z.enum(["tar", "oci-archive", "docker-archive"]),
	fileDigest: digestSchema,
	tag: z.string().nullable(),
});
const imageInput = z.strictObject({
	kind: z.enum(["oci-layout", "registry"]),
	/** Of the manifest for the plan's platform, or, of a registry, of the index that leads to it. */
	manifestDigest: digestSchema,
	/** What a person called it; null for a layout, whose place says nothing. */
	reference: z.string().nullable(),
});
const debianInput = z.strictObject({
	kind: z.literal("debian"),
	suite: word,
	/** A foreign architecture's packages are unpacked and their scripts not run. */
	mode: z.enum(["installed", "unpacked"]),
	requested: z.array(z.string()),
	components: z.array(z.string()),
	packages: z.array(packagePinSchema),
	/** The bytes depend on it. */
	tool: z.string(),
});
export type DebianInput = z.infer<typeof debianInput>;

export const contextInputSchema = z.discriminatedUnion("kind", [treeInput, fileInput, imageInput, debianInput]);
export type ContextInput = z.infer<typeof contextInputSchema>;

const dockerfileInput = z.strictObject({
	kind: z.literal("dockerfile"),
	/** The folder as it is staged: without what .dockerignore leaves out, owners, times, and modes but for "may be run". */
	contextDigest: digestSchema,
	dockerfileDigest: digestSchema,
	target: z.string().nullable(),
	arguments: z.record(z.string(), z.string()),
	network: z.enum(["none", "host"]),
	/** The bytes depend on it. */
	builder: z.strictObject({ name: z.enum(["buildah", "docker"]), version: z.string() }),
	contexts: z.record(z.string(), contextInputSchema),
	/** Images that FROM and COPY --from name, by that name. */
	images: z.record(z.string(), digestSchema),
});
export type DockerfileInput = z.infer<typeof dockerfileInput>;

export const sourceInputSchema = z.discriminatedUnion("kind", [
	treeInput,
	fileInput,
	imageInput,
	debianInput,
	dockerfileInput,
]);
export type SourceInput = z.infer<typeof sourceInputSchema>;

/**
 * Everything that the bytes of an image depend on, each by digest or version. The SHA-256 of its canonical JSON is the plan's
 * digest: one plan, one image, as far as what it runs is deterministic. It says nothing of folders, users or machines.
 */
export const buildPlanSchema = z.strictObject({
	schema: z.literal("vouch.build-plan/v1"),
	platform: platformSchema,
	rootfs: z.strictObject({
		format: rootfsFormatSchema,
		epoch: z.int().nonnegative(),
		/** The program that packs, with its version; null when it is Vouch itself. */
		tool: z.string().nullable(),
	}),
	verity: z.strictObject({ salt: z.string(), uuid: z.string() }),
	kernel: kernelInputSchema,
	guest: z.strictObject({ digest: digestSchema, generation: z.int().positive() }),
	vouch: z.strictObject({ version: z.string(), generation: z.int().positive() }),
	source: sourceInputSchema,
});
export type BuildPlan = z.infer<typeof buildPlanSchema>;
