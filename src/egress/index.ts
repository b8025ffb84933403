/**
 * egress: the network gate of a run. Nothing leaves a sandbox except through it.
 *
 * Hides     parsing of hostile bytes (HTTP, SOCKS5, TLS, DNS), name look-ups, rebinding and smuggling defences.
 * Promises  every attempt is one ledger entry; a refused stream forwards zero bytes; a connection goes to the very
 *           address that was judged; memory is bounded whatever the sandbox sends (`limits.ts`).
 * Never     opens TLS, trusts a name the sandbox resolved, or reads the environment: callers hand in what they read.
 * Start at  `admission.ts`: everything that leaves comes through `admit`; `verdict.ts` holds the decisions.
 */
export { parseUpstreamProxy, type UpstreamProxy } from "./dial.ts";
export { openGate } from "./doors.ts";
export { egressFailures } from "./failures.ts";
export type { Gate, GateClosing, GateOptions } from "./gate.ts";
export type { ProcessLookup, Source } from "./ledger.ts";
export { type GateLimits, LIMITS } from "./limits.ts";
export { gateEnvironment, type NetworkPlanRequest, planNetwork, RESOLVER_CONFIGURATION } from "./network-plan.ts";
export { type Explained, reconcile } from "./reconcile.ts";
export { type GateResolver, systemResolver } from "./resolver.ts";
export { type CompiledOutcome, type CompiledRules, compileRules, loopbackListenersOf } from "./rules.ts";
export { judgeDestination, type Verdict } from "./verdict.ts";
