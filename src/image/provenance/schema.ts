import { z } from "zod";
import { digestSchema } from "../../core/index.ts";
import { buildPlanSchema } from "../plan/schema.ts";

export const PROVENANCE_TYPE = "https://slsa.dev/provenance/v1";
export const BUILD_TYPE = "https://vouch.dev/image-build/v1";
export const BUILDER_ID = "https://vouch.dev/image-builder/v1";

const sha256 = z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) });

/** in-toto ResourceDescriptor, as far as it is used here. */
export const resourceSchema = z.strictObject({
	name: z.string().min(1).optional(),
	uri: z.string().min(1).optional(),
	digest: sha256,
});
export type Resource = z.infer<typeof resourceSchema>;

/** in-toto Statement v1 with SLSA provenance v1. Holds no time and no place: the same build says the same. */
export const imageProvenanceSchema = z.strictObject({
	_type: z.literal("https://in-toto.io/Statement/v1"),
	subject: z.array(z.strictObject({ name: z.string(), digest: sha256 })).min(1),
	predicateType: z.literal(PROVENANCE_TYPE),
	predicate: z.strictObject({
		buildDefinition: z.strictObject({
			buildType: z.literal(BUILD_TYPE),
			/** What the person who built chose. */
			externalParameters: z.strictObject({
				source: z.string(),
				platform: z.string(),
				rootfsFormat: z.string(),
				epoch: z.int(),
			}),
			internalParameters: z.strictObject({ planDigest: digestSchema, plan: buildPlanSchema }),
			resolvedDependencies: z.array(resourceSchema),
		}),
		runDetails: z.strictObject({
			builder: z.strictObject({ id: z.literal(BUILDER_ID), version: z.record(z.string(), z.string()) }),
		}),
	}),
});
export type ImageProvenance = z.infer<typeof imageProvenanceSchema>;
