/**
 * roots: what `--image` names becomes a folder that holds a root file system.
 *
 * Hides     tar, compression, OCI layouts, layers and whiteouts, registries, the cache of unpacked images.
 * Promises  an unpacked image holds no device, no setuid bit, and nothing written outside of its folder; it is whole or absent.
 * Never     runs anything of an image, and never changes a folder that was given to be used in place.
 * Start at  `prepare.ts`, then `extraction.ts`.
 */
export { type PrepareOptions, prepareRoot } from "./prepare.ts";
