import { readFile } from "node:fs/promises";
import { z } from "zod";
import { type Digest, digestOfJson, digestSchema, type Json, parseJsonStrict } from "../../core/index.ts";
import type { ImageManifest, PartName } from "../schema.ts";
import type { ImageClaim } from "./verify-image.ts";

const sbomSchema = z.object({ spdxVersion: z.literal("SPDX-2.3"), packages: z.array(z.object({ name: z.string() })) });

/** SPDX 2.3, as far as a reader must be able to rely on it. */
export async function readSbom(path: string): Promise<ImageClaim> {
	const claim = "sbom";
	try {
		const { packages } = sbomSchema.parse(parseJsonStrict(await readFile(path, "utf8")));
		return { claim, status: "holds", detail: `SPDX 2.3, ${packages.length} packages` };
	} catch {
		return { claim, status: "does-not-hold", detail: "it is not SPDX 2.3" };
	}
}

const digestSet = z.record(z.string(), z.string());
const materialSchema = z.object({
	uri: z.string().optional(),
	name: z.string().optional(),
	digest: digestSet.optional(),
});
const statementSchema = z.object({
	_type: z.literal("https://in-toto.io/Statement/v1"),
	subject: z.array(z.object({ name: z.string(), digest: digestSet })),
	predicateType: z.literal("https://slsa.dev/provenance/v1"),
	predicate: z.object({
		buildDefinition: z.object({
			internalParameters: z.object({ planDigest: digestSchema, plan: z.json() }),
			resolvedDependencies: z.array(materialSchema),
		}),
	}),
});

/** What the provenance names: all but itself. */
const BUILT = ["disk", "kernel", "initramfs", "sbom"] as const satisfies readonly PartName[];

/** That the provenance is of this very image, and that everything that went into it is named by its contents. */
export async function readProvenance(path: string, manifest: ImageManifest): Promise<readonly ImageClaim[]> {
	const claim = "provenance";
	let statement: z.infer<typeof statementSchema>;
	try {
		statement = statementSchema.parse(parseJsonStrict(await readFile(path, "utf8")));
	} catch {
		const detail = "it is not an in-toto statement with SLSA v1 provenance";
		return [{ claim, status: "does-not-hold", detail }];
	}
	const subjects = new Set(statement.subject.map(({ digest }) => digest.sha256));
	const missing = BUILT.filter((name) => !subjects.has(manifest.parts[name].digest.slice("sha256:".length)));
	const { internalParameters, resolvedDependencies: materials } = statement.predicate.buildDefinition;
	const loose = materials.filter(({ digest }) => digest === undefined || Object.keys(digest).length === 0);
	return [
		missing.length === 0
			? { claim, status: "holds", detail: `SLSA v1, of this very ${BUILT.join(", ")}` }
			: { claim, status: "does-not-hold", detail: `it is of another ${missing.join(", ")}` },
		planClaim(internalParameters, manifest),
		{
			claim: "materials",
			status: loose.length === 0 ? "holds" : "does-not-hold",
			detail:
				loose.length === 0
					? `${materials.length} inputs, each named by its digest`
					: `without a digest: ${loose.map(({ uri, name }) => uri ?? name ?? "?").join(", ")}`,
		},
	];
}

const planSchema = z.object({
	platform: z.string(),
	rootfs: z.object({ format: z.string() }),
	verity: z.object({ salt: z.string(), uuid: z.string() }),
	guest: z.object({ digest: digestSchema, generation: z.number() }),
});

/** That the recorded plan is the one of its digest, and one that asks for an image like this. */
function planClaim({ planDigest, plan }: { planDigest: Digest; plan: Json }, manifest: ImageManifest): ImageClaim {
	const claim = "build plan";
	const parsed = planSchema.safeParse(plan);
	const fits =
		parsed.success &&
		parsed.data.platform === manifest.platform &&
		parsed.data.rootfs.format === manifest.rootfsFormat &&
		parsed.data.verity.salt === manifest.verity.salt &&
		parsed.data.verity.uuid === manifest.verity.uuid &&
		parsed.data.guest.digest === manifest.reference.guestDigest &&
		parsed.data.guest.generation === manifest.reference.guestGeneration;
	if (!fits) return { claim, status: "does-not-hold", detail: "it asks for another image than this" };
	return digestOfJson(plan) === planDigest
		? {
				claim,
				status: "holds",
				detail: `asks for this platform, format, hash tree and guest; its digest is ${planDigest}`,
			}
		: { claim, status: "does-not-hold", detail: `it has another digest than ${planDigest}` };
}
