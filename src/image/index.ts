/**
 * image: recipe → build plan → image, and the store that keeps images.
 *
 * Hides     sources (Dockerfiles, Debian suites, tars, OCI layouts, registries), packing, verity, kernels, SBOM, provenance.
 * Promises  the same recipe and inputs give the same `image.json` on every machine; an image is in the store whole or not at all.
 * Never     takes an input that isn't pinned by its digest, and never writes outside of its store and cache.
 * Start at  `schema.ts`, what an image is; then `assembly/build.ts`.
 */
export type * from "./artifacts/rootfs/index.ts";
export type * from "./artifacts/verity/index.ts";
export * from "./assembly/index.ts";
export type * from "./compare/index.ts";
export {
	addSampleImage,
	compareImages,
	copyImage,
	exportImage,
	formatVerity,
	importImages,
	layoutManifest,
	packRootfs,
	prunePulls,
	pullImage,
	pushImages,
	readSource,
	rebuildImage,
	recogniseSource,
	resolveImage,
	unpackTree,
	verifyImage,
	verifyVerity,
	writeErofs,
} from "./doors.ts";
export { EXPORT_FORMS } from "./export/export-image.ts";
export type * from "./export/index.ts";
export { RECIPE_FILE, type RecipeRequest, recipeFor } from "./recipe/index.ts";
export type * from "./registry/index.ts";
export { parseRegistryReference, referenceText } from "./registry/reference.ts";
export { openScratch, type Scratch, sweepScratch } from "./scratch/index.ts";
export {
	type ImageStore,
	isName as isImageName,
	machinePlatform,
	measureFile,
	type NamedImage,
	openImageStore,
	type PartFault,
	type PartFile,
	type PruneOptions,
	type Removal,
	type StoredImage,
	type VerifyOptions,
} from "./store/index.ts";
export type * from "./verify/index.ts";
