import { canonicalJson, type Digest, hexOfDigest, type Json } from "../../core/index.ts";
import { packageUrlOf } from "../artifacts/kernel/pin.ts";
import { digestOfPlan } from "../plan/index.ts";
import type { BuildPlan, ContextInput, PackagePin, SourceInput } from "../plan/schema.ts";
import {
	BUILD_TYPE,
	BUILDER_ID,
	type ImageProvenance,
	imageProvenanceSchema,
	PROVENANCE_TYPE,
	type Resource,
} from "./schema.ts";

export interface ProvenanceFacts {
	readonly plan: BuildPlan;
	/** What was made. */
	readonly subjects: Readonly<Record<string, Digest>>;
	/** What reading the source found besides what the plan names, such as layers. */
	readonly found: readonly { readonly name: string; readonly digest: Digest }[];
}

/** The provenance of an image. A pure function of the facts. */
export function makeProvenance({ plan, subjects, found }: ProvenanceFacts): ImageProvenance {
	const dependencies = [
		...materialsOf(plan.source, ""),
		{ uri: packageUrlOf(plan.kernel), digest: sha256(plan.kernel.debDigest) },
		{ name: "guest", digest: sha256(plan.guest.digest) },
		...(hasOwnDigests(plan.source)
			? found.map(({ name, digest }) => ({ name: `source ${name}`, digest: sha256(digest) }))
			: []),
	];
	return imageProvenanceSchema.parse({
		_type: "https://in-toto.io/Statement/v1",
		subject: Object.entries(subjects).map(([name, digest]) => ({ name, digest: sha256(digest) })),
		predicateType: PROVENANCE_TYPE,
		predicate: {
			buildDefinition: {
				buildType: BUILD_TYPE,
				externalParameters: {
					source: sourceWord(plan.source),
					platform: plan.platform,
					rootfsFormat: plan.rootfs.format,
					epoch: plan.rootfs.epoch,
				},
				internalParameters: { planDigest: digestOfPlan(plan), plan },
				resolvedDependencies: withoutTwins(dependencies),
			},
			runDetails: { builder: { id: BUILDER_ID, version: { vouch: plan.vouch.version } } },
		},
	} satisfies ImageProvenance);
}

export function provenanceText(provenance: ImageProvenance): string {
	return canonicalJson(provenance as unknown as Json);
}

/** Layers of an image from elsewhere are materials; those that a Dockerfile made just now are not. */
function hasOwnDigests({ kind }: SourceInput): boolean {
	return kind === "oci-layout" || kind === "registry" || kind === "oci-archive" || kind === "docker-archive";
}

function sourceWord(source: SourceInput): string {
	switch (source.kind) {
		case "debian":
			return `debian:${source.suite}`;
		case "registry":
			return source.reference ?? "registry";
		case "folder":
		case "tar":
		case "oci-layout":
		case "oci-archive":
		case "docker-archive":
		case "dockerfile":
			return source.kind;
	}
}

function materialsOf(source: SourceInput | ContextInput, prefix: string): readonly Resource[] {
	switch (source.kind) {
		case "folder":
			return [{ name: `${prefix}folder`, digest: sha256(source.treeDigest) }];
		case "tar":
		case "oci-archive":
		case "docker-archive":
			return [{ name: `${prefix}${source.kind}`, digest: sha256(source.fileDigest) }];
		case "oci-layout":
		case "registry": {
			const place = source.reference === null ? { name: `${prefix}image` } : { uri: `docker://${source.reference}` };
			return [{ ...place, digest: sha256(source.manifestDigest) }];
		}
		case "debian":
			return source.packages.map((one) => ({ uri: debianUrl(one, source.suite), digest: sha256(one.debDigest) }));
		case "dockerfile":
			return [
				{ name: "context", digest: sha256(source.contextDigest) },
				{ name: "Dockerfile", digest: sha256(source.dockerfileDigest) },
				...Object.entries(source.images).map(([name, digest]) => ({ uri: `docker://${name}`, digest: sha256(digest) })),
				...Object.entries(source.contexts).flatMap(([name, one]) => materialsOf(one, `context ${name} `)),
			];
	}
}

/** A purl of type deb; a version's colon and plus are escaped. */
function debianUrl({ name, version, architecture }: PackagePin, suite: string): string {
	return `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}&distro=${suite}`;
}

function withoutTwins(resources: readonly Resource[]): Resource[] {
	return [...new Map(resources.map((one) => [`${one.uri ?? one.name} ${one.digest.sha256}`, one])).values()];
}

function sha256(digest: Digest): Resource["digest"] {
	return { sha256: hexOfDigest(digest) };
}
