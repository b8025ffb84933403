/**
 * roots: what `--image` names becomes a root in the shape that a driver takes: a folder, or a built image.
 *
 * Hides     what a reference names, the image store, the cache of unpacked images.
 * Promises  an unpacked image holds no device, no setuid bit, and nothing written outside of its folder; it is whole or absent.
 * Never     runs anything of an image, and never changes a folder that was given to be used in place.
 * Start at  `choice.ts`, then `folder-root.ts`; what is read, and refused, is of src/image/artifacts/rootfs.
 */
export { findRoot, prepareRoot, type RootChoice, type RootOptions } from "./choice.ts";
export type { PrepareOptions } from "./folder-root.ts";
