import { z } from "zod";
import { digestSchema } from "../../../../core/index.ts";

/** OCI image-spec 1.1 and Docker's schema 2, as far as unpacking needs them. Unknown members are allowed, as the spec demands. */
export const descriptorSchema = z.looseObject({
	mediaType: z.string(),
	digest: digestSchema,
	size: z.int().nonnegative(),
	platform: z.looseObject({ architecture: z.string(), os: z.string() }).optional(),
	annotations: z.record(z.string(), z.string()).optional(),
});
export type Descriptor = z.infer<typeof descriptorSchema>;

const MAX_LISTED = 1000;

export const indexSchema = z.looseObject({
	mediaType: z.string().optional(),
	manifests: z.array(descriptorSchema).max(MAX_LISTED),
});

export const manifestSchema = z.looseObject({
	mediaType: z.string().optional(),
	config: descriptorSchema,
	layers: z.array(descriptorSchema).max(MAX_LISTED),
});
export type Manifest = z.infer<typeof manifestSchema>;

const words = z.array(z.string()).nullish();

export const imageConfigSchema = z.looseObject({
	architecture: z.string(),
	os: z.string(),
	config: z
		.looseObject({
			Entrypoint: words,
			Cmd: words,
			Env: words,
			WorkingDir: z.string().nullish(),
			User: z.string().nullish(),
		})
		.nullish(),
	rootfs: z.looseObject({ type: z.literal("layers"), diff_ids: z.array(digestSchema).max(MAX_LISTED).nullable() }),
});
export type ImageConfigDocument = z.infer<typeof imageConfigSchema>;

/** `manifest.json` of `docker save`. */
export const dockerArchiveSchema = z.array(
	z.looseObject({
		Config: z.string(),
		RepoTags: z.array(z.string()).nullish(),
		Layers: z.array(z.string()).max(MAX_LISTED).nullable(),
	}),
);

export const layoutMarkerSchema = z.looseObject({ imageLayoutVersion: z.string().regex(/^1\./) });
