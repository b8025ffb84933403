import { constants } from "node:os";
import type { RunResult } from "../../evidence/schema.ts";

/** Endings that are not the command's. */
const FAILED: ReadonlySet<RunResult["reason"]> = new Set([
	"unaccounted-egress",
	"failed-to-start",
	"verity",
	"boot-timeout",
	"guest-stalled",
	"guest-protocol",
	"guest-lost",
]);

/** 124 for a timeout, 125 when Vouch failed the run, 128 + N for a signal, else the command's own. */
export function exitCodeOf({ reason, exitCode, signal }: RunResult): number {
	if (reason === "timeout") return 124;
	if (FAILED.has(reason)) return 125;
	return exitCode ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? 0);
}
