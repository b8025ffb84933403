/**
 * registry: an image of a registry, looked up and fetched by skopeo.
 *
 * Hides     skopeo's command lines, logins, and where fetched images are kept.
 * Promises  what is fetched has the digest that was asked for; a fetched image is in the cache whole or not at all.
 * Never     follows a tag when it fetches, and never talks without TLS but to this machine.
 * Start at  `skopeo.ts`.
 */
export { type CopyOptions, copyImage, type ResolveOptions, resolveImage } from "./skopeo.ts";
