import type { Caller } from "../operation.ts";

/** Sets of callers that rows share. Roles are listed one by one: none contains another by itself. */
export const READERS = ["owner", "operator", "approver", "auditor", "member"] as const satisfies readonly Caller[];
export const SUBMITTERS = ["owner", "operator", "approver", "member"] as const satisfies readonly Caller[];
export const OPERATORS = ["owner", "operator"] as const satisfies readonly Caller[];
export const APPROVERS = ["owner", "approver"] as const satisfies readonly Caller[];
export const AUDITORS = ["owner", "auditor"] as const satisfies readonly Caller[];
