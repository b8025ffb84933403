/**
 * sbom: what packages a root file system has, as SPDX 2.3 JSON.
 *
 * Hides     the databases of dpkg and apk, Python's metadata, and SPDX's form.
 * Promises  the same tree gives the same text on every machine; a database that is damaged costs its damaged entries alone.
 * Never     runs anything of the tree, follows its links, or reads a clock.
 * Start at  `spdx.ts`, then `packages.ts`.
 */
export { type SbomInput, writeSbom } from "./spdx.ts";
