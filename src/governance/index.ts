/**
 * governance: may this workload run?
 *
 * Hides     how a policy is written, how rules of several policies combine, which command shapes are dangerous.
 * Promises  pure: the same workload and policies give the same decision; a further policy never allows more; every rule
 *           that fired is a reason with what to change; a policy with one mistake is no policy.
 * Never     reads a file, asks a person, or enforces anything: it answers allow, deny or needs approval.
 * Start at  `decide.ts`, then `judge.ts`; `policy-text.ts` for `vouch.policy.yaml`.
 */
export {
	type CapabilityPolicy,
	type MergedCapabilities,
	mergeCapabilities,
	mergeNet,
	type NetCapability,
	resolveFs,
	resolveNet,
} from "./capability-merge.ts";
export { type CommandLabels, type CommandProfile, commandLabels } from "./command-shapes.ts";
export { decide, profileOf } from "./decide.ts";
export {
	coversDestination,
	type DestinationSet,
	overlapsDestination,
	parseDestination,
	type RuleOrigin,
} from "./destinations.ts";
export {
	type DeviceRules,
	type DeviceVerdict,
	evaluateDevice,
	intersectPatterns,
	mergeDevice,
} from "./device-policy.ts";
export { governanceFailures } from "./failures.ts";
export { applyPolicyDefaults } from "./limits.ts";
export { evaluateFs, type FsRules, intersectFs, isCovered, normalizePath } from "./paths.ts";
export type { Policy, PolicyRules } from "./policy.ts";
export { readPolicy } from "./policy-reading.ts";
export type { PolicyReading } from "./policy-text.ts";
export { type ApprovalFacts, type ApprovalOutcome, evaluateApproval, mergeApproval, strictestTier } from "./tiers.ts";
