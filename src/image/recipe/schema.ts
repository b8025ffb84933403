import { z } from "zod";
import { platformSchema, rootfsFormatSchema } from "../schema.ts";

/** zip files can't hold an earlier time: 1980-01-01. */
export const DEFAULT_EPOCH = 315_532_800;
export const DEFAULT_SALT = "0".repeat(64);
export const DEFAULT_UUID = "00000000-0000-4000-8000-000000000001";

/** policy-manual 5.6.7; `:` and `/` would be another thing to apt. */
const packageName = z
	.string()
	.regex(/^[a-z0-9][a-z0-9+.-]{0,99}$/, "must be the name of a Debian package, in lower case");
const suiteName = z
	.string()
	.regex(/^[a-z][a-z0-9-]{0,49}$/, "must be the code name of a Debian suite, such as bookworm");
const snapshot = z.string().regex(/^\d{8}T\d{6}Z$/, "must be a moment such as 20250520T000000Z");
const line = z.string().regex(/^[^\0\n\r]{1,1000}$/, "must be one line of text");
const relativePath = line.refine(
	(path) => !path.startsWith("/") && !path.split("/").includes(".."),
	"must be a path inside the folder",
);
const argumentName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, "must be the name of a build argument");
/** BuildKit's named contexts stand where image names do. */
const contextName = z
	.string()
	.regex(/^[a-z0-9][a-z0-9._/:@-]{0,199}$/, "must be a name that FROM can say, in lower case");
/** distribution-spec 1.0. */
export const imageNameSchema = z
	.string()
	.max(100)
	.regex(/^[a-z0-9]+(?:[._-][a-z0-9]+)*$/, "must be lower-case letters and digits, with single . _ - between them");

export const sourceKindSchema = z.enum([
	"dockerfile",
	"folder",
	"tar",
	"oci-layout",
	"oci-archive",
	"docker-archive",
	"registry",
	"debian",
]);
export type SourceKind = z.infer<typeof sourceKindSchema>;

/** `vouch-image.yaml`, and what flags say over it: every member may be left out. */
export const recipeFileSchema = z.strictObject({
	/** What the image is called in the store. */
	name: imageNameSchema.optional(),
	/** Path relative to this file, `debian:SUITE`, or an image in a registry. */
	source: line.optional(),
	kind: sourceKindSchema.optional(),
	platform: platformSchema.optional(),
	rootfs: rootfsFormatSchema.optional(),
	/** Seconds since 1970: the time of every file. */
	epoch: z.int().nonnegative().max(0xffff_ffff).optional(),
	verity: z
		.strictObject({
			salt: z
				.string()
				.regex(/^(?:[0-9a-f]{2}){0,64}$/, "must be 0 to 64 bytes in lower-case hexadecimal")
				.optional(),
			uuid: z.uuid().optional(),
		})
		.optional(),
	kernel: z.strictObject({ suite: suiteName.optional(), snapshot: snapshot.optional() }).optional(),
	dockerfile: z
		.strictObject({
			file: relativePath.optional(),
			target: line.optional(),
			arguments: z
				.record(argumentName, z.string().regex(/^[^\0\n\r]{0,10000}$/, "must be one line of text"))
				.optional(),
			contexts: z.record(contextName, line).optional(),
			network: z.enum(["none", "host"]).optional(),
			builder: z.enum(["auto", "buildah", "docker"]).optional(),
		})
		.optional(),
	debian: z
		.strictObject({
			packages: z.array(packageName).max(5000).optional(),
			components: z
				.array(z.enum(["main", "contrib", "non-free", "non-free-firmware"]))
				.min(1)
				.optional(),
			snapshot: snapshot.optional(),
		})
		.optional(),
});
export type RecipeFile = z.infer<typeof recipeFileSchema>;

const located = { path: z.string() };
const debianSource = z.strictObject({
	kind: z.literal("debian"),
	suite: suiteName,
	/** Sorted, without twins. */
	packages: z.array(packageName),
	components: z.array(z.string()),
	snapshot: snapshot.nullable(),
});
export type DebianSource = z.infer<typeof debianSource>;
const registrySource = z.strictObject({ kind: z.literal("registry"), reference: line });
export type RegistrySource = z.infer<typeof registrySource>;
const archiveSource = z.strictObject({
	kind: z.enum(["oci-layout", "oci-archive", "docker-archive"]),
	...located,
	tag: z.string().nullable(),
});
const plainSource = z.strictObject({ kind: z.enum(["folder", "tar"]), ...located });

/** What a named context of a Dockerfile can be. A folder is for `COPY --from`, the rest for `FROM` as well. */
export const contextSourceSchema = z.discriminatedUnion("kind", [
	debianSource,
	registrySource,
	archiveSource,
	plainSource,
]);
export type ContextSource = z.infer<typeof contextSourceSchema>;

const dockerfileSource = z.strictObject({
	kind: z.literal("dockerfile"),
	...located,
	file: z.string(),
	target: z.string().nullable(),
	arguments: z.record(z.string(), z.string()),
	contexts: z.record(z.string(), contextSourceSchema),
	network: z.enum(["none", "host"]),
	builder: z.enum(["auto", "buildah", "docker"]),
});
export type DockerfileSource = z.infer<typeof dockerfileSource>;

export const recipeSourceSchema = z.discriminatedUnion("kind", [
	debianSource,
	registrySource,
	archiveSource,
	plainSource,
	dockerfileSource,
]);
export type RecipeSource = z.infer<typeof recipeSourceSchema>;

/** What is to be built, with nothing left open but what names mean today. Its paths are of this machine. */
export const recipeSchema = z.strictObject({
	schema: z.literal("vouch.recipe/v1"),
	/** What the store calls the image; null for no name. */
	name: imageNameSchema.nullable(),
	platform: platformSchema,
	rootfsFormat: rootfsFormatSchema,
	epoch: z.int().nonnegative(),
	verity: z.strictObject({ salt: z.string(), uuid: z.uuid() }),
	/** Null means what the platform usually takes. */
	kernel: z.strictObject({ suite: suiteName.nullable(), snapshot: snapshot.nullable() }),
	source: recipeSourceSchema,
	/** Where the pins are or may be written down for others; null for a source that no file goes with. */
	lockFile: z.string().nullable(),
});
export type Recipe = z.infer<typeof recipeSchema>;
