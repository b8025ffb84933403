/**
 * view: what a workload sees of a file system, the same under every driver that isolates one.
 *
 * Hides     which parts of the host are public, the generated `/etc`, what of `/proc` is covered.
 * Promises  pure: facts and request in, an ordered list out; what is not listed is not there.
 * Never     shows the home folder, `/run`, `/var`, `/opt`, `/root`, sockets, or another process.
 * Start at  `view.ts`.
 */
export { mountPointsOf, probeView, type ViewFacts } from "./facts.ts";
export { BASE_ENVIRONMENT, GUEST } from "./guest.ts";
export { DEFAULT_SCRATCH_BYTES, mountsBelow, planView, SECRETS_TARGET, type ViewEntry } from "./view.ts";
