/**
 * What works for long is loaded when it is called: most commands only look something up in the store, and every file loaded
 * costs them a millisecond.
 */
import type * as rootfs from "./artifacts/rootfs/index.ts";
import type * as verity from "./artifacts/verity/index.ts";
import type * as compare from "./compare/index.ts";
import type * as exporting from "./export/index.ts";
import type * as layouts from "./plan/layout-input.ts";
import type * as registry from "./registry/index.ts";
import type * as registrySource from "./sources/registry/index.ts";
import type * as verifying from "./verify/index.ts";

export const readSource: typeof rootfs.readSource = async (...given) =>
	(await import("./artifacts/rootfs/index.ts")).readSource(...given);
export const recogniseSource: typeof rootfs.recogniseSource = async (...given) =>
	(await import("./artifacts/rootfs/index.ts")).recogniseSource(...given);
export const packRootfs: typeof rootfs.packRootfs = async (...given) =>
	(await import("./artifacts/rootfs/index.ts")).packRootfs(...given);
export const unpackTree: typeof rootfs.unpackTree = async (...given) =>
	(await import("./artifacts/rootfs/index.ts")).unpackTree(...given);
export const writeErofs: typeof rootfs.writeErofs = async (...given) =>
	(await import("./artifacts/rootfs/index.ts")).writeErofs(...given);

export const formatVerity: typeof verity.formatVerity = async (...given) =>
	(await import("./artifacts/verity/index.ts")).formatVerity(...given);
export const verifyVerity: typeof verity.verifyVerity = async (...given) =>
	(await import("./artifacts/verity/index.ts")).verifyVerity(...given);

export const layoutManifest = async (...given: Parameters<typeof layouts.layoutManifest>) =>
	(await import("./plan/layout-input.ts")).layoutManifest(...given);
export const resolveImage: typeof registrySource.resolveImage = async (...given) =>
	(await import("./sources/registry/index.ts")).resolveImage(...given);
export const copyImage: typeof registrySource.copyImage = async (...given) =>
	(await import("./sources/registry/index.ts")).copyImage(...given);

export const compareImages: typeof compare.compareImages = async (...given) =>
	(await import("./compare/index.ts")).compareImages(...given);
export const rebuildImage: typeof compare.rebuildImage = async (...given) =>
	(await import("./compare/index.ts")).rebuildImage(...given);

export const exportImage: typeof exporting.exportImage = async (...given) =>
	(await import("./export/index.ts")).exportImage(...given);
export const importImages: typeof exporting.importImages = async (...given) =>
	(await import("./export/index.ts")).importImages(...given);
export const addSampleImage: typeof exporting.addSampleImage = async (...given) =>
	(await import("./export/index.ts")).addSampleImage(...given);

export const pullImage: typeof registry.pullImage = async (...given) =>
	(await import("./registry/index.ts")).pullImage(...given);
export const pushImages: typeof registry.pushImages = async (...given) =>
	(await import("./registry/index.ts")).pushImages(...given);
export const prunePulls: typeof registry.prunePulls = async (...given) =>
	(await import("./registry/index.ts")).prunePulls(...given);

export const verifyImage: typeof verifying.verifyImage = async (...given) =>
	(await import("./verify/index.ts")).verifyImage(...given);
