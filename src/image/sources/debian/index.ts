/**
 * debian: a root file system from Debian's own packages.
 *
 * Hides     apt, mirrors, suites and their security archives, mmdebstrap, what a bootstrap leaves behind that differs.
 * Promises  packages are named by version and SHA-256 from signed indexes; the same packages give the same tar.
 * Never     changes what the machine's apt knows, and takes no package whose digest is another.
 * Start at  `resolve.ts`, then `bootstrap.ts`.
 */
export { type BootstrapOptions, bootstrapDebian } from "./bootstrap.ts";
export { debianTool, resolveDebian } from "./resolve.ts";
