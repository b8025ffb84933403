/**
 * registry: images to and from an OCI registry (distribution-spec 1.1), as artifacts.
 *
 * Hides     logins, tokens, redirects, chunks, ranges, and trying again.
 * Promises  nothing is taken that is not what its digest names; an interrupted transfer goes on where it ended; bounded time
 *           and space, whatever the registry says.
 * Never     speaks without TLS but to this machine, and never shows a login to another host than the one it is for.
 * Start at  `push.ts` and `pull.ts`, then `session.ts`.
 */
export type { CredentialSources } from "./credentials.ts";
export { type PulledImage, type PullSettings, pullImage } from "./pull.ts";
export { prunePulls } from "./pull-folder.ts";
export { type PushedImage, pushImages, type TransferSettings } from "./push.ts";
export { parseRegistryReference, type RegistryReference, referenceText } from "./reference.ts";
