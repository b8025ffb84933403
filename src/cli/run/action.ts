import { copyFileSync } from "node:fs";
import { constants } from "node:os";
import { drivers } from "../../runtime/index.ts";
import type { Action } from "../command.ts";
import { printJson } from "../screen.ts";
import type { RunOutcome } from "./outcome.ts";
import { type Parts, realParts } from "./parts.ts";
import { reportOf, showReport } from "./report.ts";
import { type RunRequest, readRequest } from "./request.ts";

/** `vouch run`: its exit code is the command's own. */
export const runAction: Action = async (invocation) => {
	const request = readRequest(invocation, process.env);
	const parts = realParts();
	measureEarly(request, parts);
	// Not imported above: what it loads takes as long as a driver's trial, and so the two go on side by side.
	const { conduct } = await import("./conduct.ts");
	const outcome = await conduct(request, parts);
	if (request.receiptCopy !== null) copyFileSync(outcome.files.receipt, request.receiptCopy);
	if (request.show === "report") showReport(outcome);
	if (request.show === "json") printJson(reportOf(outcome));
	return exitCodeOf(outcome);
};

/** Starts the look at the machine that choosing a driver will ask for first. */
function measureEarly({ driver: wanted }: RunRequest, { measured }: Parts): void {
	const first = drivers.find(({ name, strength }) => (wanted === null ? strength > 0 : name === wanted));
	// Whoever asks for it gets its failure.
	if (first !== undefined) measured.of(first).catch(() => {});
}

/** 124 for a timeout, 125 when Vouch failed the run, 128 + N for a signal, else the command's own. */
export function exitCodeOf({ predicate: { result } }: RunOutcome): number {
	if (result.reason === "timeout") return 124;
	if (result.reason === "unaccounted-egress" || result.reason === "failed-to-start") return 125;
	if (result.exitCode !== null) return result.exitCode;
	return 128 + (constants.signals[result.signal as NodeJS.Signals] ?? 0);
}
