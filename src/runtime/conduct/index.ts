/**
 * conduct: one planned run from its first process to its last, and what a receipt says of it. `vouch run` and the agent share it.
 *
 * Hides     the gate's life, joined streams, masking, limits kept by the clock, workspace digests and diffs, clean-up after a crash.
 * Promises  when `conduct` has settled nothing of the run is left; what was observed is whole, or it throws.
 * Never     reads the environment or signs: values, signals and streams are handed in, and what signs is the caller's.
 * Start at  `conduct.ts`, then `observe.ts`.
 */
export { type Captured, capture, type OutputBudget, overflowFile } from "./capture.ts";
export { conduct } from "./conduct.ts";
export { exitCodeOf } from "./exit-code.ts";
export { SHORTEST_SECRET_BYTES } from "./masking.ts";
export type { Observed, Screens, WindowSizes } from "./observe.ts";
export type { ConductParts, Finished, PlannedRun, Ties } from "./parts.ts";
export { type Judged, receiptPartsOf, subjectsOf } from "./receipt-parts.ts";
export { isOwnerAlive, type RunFiles, type RunRecord, RunRecords, recordOf, startTicksOf } from "./records.ts";
export { recoverInterrupted } from "./recovery.ts";
export { withRunDirectory } from "./run-directory.ts";
export type { Cancels, StopReason } from "./stop.ts";
export { upstreamProxyOf } from "./upstream.ts";
