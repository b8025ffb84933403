/**
 * host: the only code that touches the machine: processes, files, mounts, sockets, network devices.
 *
 * Hides     the native supervisor (`supervisor/`, C) that makes namespaces, joins control groups, carries connections
 *           and ends everything with its run.
 * Promises  nothing outlives its run, not even when this process is killed; output and input keep back-pressure.
 * Never     decides what is allowed: it does what a plan says.
 * Start at  `host.ts`, the types; `fake-host.ts` is what tests of plans use.
 */

export { fakeHost, type HostCall, type HostScript } from "./fake-host.ts";
export type * from "./host.ts";
export { settleInOwnGroup } from "./own-group.ts";
export { askPrivileged, type PrivilegedCall } from "./privileged-client.ts";
export { realHost } from "./real-host.ts";
export { socketOwner } from "./socket-owner.ts";
export * from "./tree/index.ts";
export { virtualisationWorks } from "./virtualisation.ts";
