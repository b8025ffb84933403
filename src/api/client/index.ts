/** vouch/client: a typed client of a control plane, made from the one table of operations. See docs/guides/client.md. */
export { VouchError } from "../../core/index.ts";
export { connect } from "./connect.ts";
export { everyPage, type FollowOptions, followLogs, type LogEvent } from "./follow.ts";
export type { ClientSettings } from "./send.ts";
export type { CallOptions, Client } from "./types.ts";
