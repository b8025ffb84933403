/**
 * cli: the composition root. The only place that reads argv, environment and configuration files and wires real parts.
 *
 * Hides     the command table, screens, and how a run goes from flags to receipt.
 * Promises  the exit code of `vouch run` is the command's own; Vouch's failures are one sentence and a stable code.
 * Never     is imported by another folder; tests and reference pages read its table.
 * Start at  `commands/index.ts` for what there is, `run/conduct.ts` for the main job.
 */
export { rows as commandRows } from "./commands/index.ts";
export { main } from "./main.ts";
