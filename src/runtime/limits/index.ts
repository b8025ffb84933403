/**
 * limits: what a machine can keep of the limits that a workload asks for, and how.
 *
 * Hides     control groups version 1, 2 and both at once, delegation to users, rlimit names.
 * Promises  a limit that was asked for is enforced, or its reason is in `unmet`; nothing in between.
 * Never     raises a hard limit, or counts a driver's own processes against the workload.
 * Start at  `plan.ts`.
 */
export { limitChecks, unmetLimits } from "./explain.ts";
export { type LimitFacts, probeLimits } from "./facts.ts";
export { groupPath, type LimitOverhead, type PlannedLimits, planLimits } from "./plan.ts";
export { DRIVER_GROUP_SUFFIX, removeControlGroups } from "./recover.ts";
