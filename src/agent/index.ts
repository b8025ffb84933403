/**
 * agent: the daemon on a territory. It claims directives, runs them, reports, and survives crashes.
 *
 * Hides     the node protocol's client side: polling, leases, heartbeats, ordered output, the log of undelivered ends, back-off.
 * Promises  an end that it has seen is delivered or on disk; a lost lease stops the work; output is sent in order, each chunk
 *           until it is taken; it works against any control plane that speaks the protocol.
 * Never     decides what may run, and never runs what its lease does not say.
 * Start at  `node.ts`, the loop; `directive-run.ts`, one directive; `engine.ts`, what runs it.
 */
export type { Waiting } from "./back-off.ts";
export { Channel } from "./channel.ts";
export type { Command } from "./commands.ts";
export { ConduitsClient } from "./conduits-client.ts";
export { type CredentialFiles, Credentials } from "./credentials.ts";
export { DebugTape } from "./debug-tape.ts";
export type { Engine, Execution, ExecutionTies } from "./engine.ts";
export { type Enrolled, type Enrolling, enroll } from "./enrollment.ts";
export { driverStates, FreshMeasurements, profilesOf, strongestHere } from "./execution/driver-health.ts";
export { Facilities } from "./execution/facilities.ts";
export type { EngineParts } from "./execution/parts.ts";
export { SandboxEngine } from "./execution/sandbox-engine.ts";
export { FinishedLog } from "./finished-log.ts";
export { Health } from "./health.ts";
export { Node, type NodeParts, type NodeSettings } from "./node.ts";
export type { NodeEvent } from "./node-event.ts";
export { type TlsMaterial, Transport, type TransportSettings } from "./transport.ts";
