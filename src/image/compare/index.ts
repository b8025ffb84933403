/**
 * compare: in what two images differ, file by file, and whether an image comes again from its recorded inputs.
 *
 * Hides     readers of the packed formats, and how a recorded plan is built once more.
 * Promises  every name, mode, owner, link and byte is looked at; a disk from elsewhere is read within bounds and never mounted.
 * Never     unpacks anything under a name that an image chose.
 * Start at  `compare-images.ts`, then `rebuild.ts`.
 */
export { type CompareOptions, compareImages, type FactDifference, type ImageComparison } from "./compare-images.ts";
export type { FileDifference } from "./compare-trees.ts";
export { type InputDifference, type RebuildOptions, type Rebuilt, rebuildImage } from "./rebuild.ts";
