/**
 * guest: the host's end of the protocol that a guest speaks over its one channel.
 *
 * Hides     frames, credit, turns, the gate's socket for each connection, heartbeats and time limits.
 * Promises  a guest that floods, stalls, lies about lengths or goes away ends its session in bounded time and memory, with
 *           one reason; byte streams keep back-pressure both ways.
 * Never     believes a guest: what it says is checked, and nothing but its own words is decided by it.
 * Start at  `session.ts`, then `channel.ts`; the numbers are in `protocol.ts`.
 */
export type { GateDoor } from "./connections.ts";
export { oldGuest } from "./generation.ts";
export { machineGuarantees } from "./guarantees.ts";
export type { GuestFacts } from "./guest-frame.ts";
export type { GuestTimes } from "./limits.ts";
export { ENTROPY_BYTES } from "./protocol.ts";
export { type GuestEnding, type GuestFailureReason, GuestSession, type SessionOptions } from "./session.ts";
export { type DiskName, type GuestLimit, type SetupRecord, setupBytes } from "./setup.ts";
export { type GuestDisks, type GuestRoom, guestSetup } from "./view.ts";
export { type PlannedSetup, plannedSecrets, wholeSetup } from "./whole-setup.ts";
