/**
 * assembly: a plan becomes an image, or is found to have become one before.
 */
export { type BuildOptions, type BuiltImage, buildImage } from "./build.ts";
export type { BuildProgress, BuildStep, OnProgress } from "./progress.ts";
