/**
 * dockerfile: a root file system from a Dockerfile, run by buildah or by Docker's BuildKit.
 *
 * Hides     the builders' command lines, their storage, and how contexts are handed to them.
 * Promises  the builder sees the staged context, the named contexts and nothing else; afterwards nothing of it runs, and its
 *           folder can be removed.
 * Never     pulls an image by itself, and never uses the user's or the machine's container storage with buildah.
 * Start at  `build.ts`, then `stage.ts`.
 */
export { type BuiltImage, buildDockerfile, type DockerfileBuild, type DockerfileOptions } from "./build.ts";
export type { NamedContext } from "./contexts.ts";
export { writeLayout } from "./layout.ts";
export { type StageOptions, type StageRequest, stageContext } from "./stage.ts";
