import { copyFileSync } from "node:fs";
import { constants } from "node:os";
import type { Action } from "../command.ts";
import { printJson } from "../screen.ts";
import { conduct, type RunOutcome } from "./conduct.ts";
import { realParts } from "./parts.ts";
import { reportOf, showReport } from "./report.ts";
import { readRequest } from "./request.ts";

/** `vouch run`: its exit code is the command's own. */
export const runAction: Action = async (invocation) => {
	const request = readRequest(invocation, process.env);
	const outcome = await conduct(request, realParts());
	if (request.receiptCopy !== null) copyFileSync(outcome.files.receipt, request.receiptCopy);
	if (request.show === "report") showReport(outcome);
	if (request.show === "json") printJson(reportOf(outcome));
	return exitCodeOf(outcome);
};

/** 124 for a timeout, 125 when Vouch failed the run, 128 + N for a signal, else the command's own. */
export function exitCodeOf({ predicate: { result } }: RunOutcome): number {
	if (result.reason === "timeout") return 124;
	if (result.reason === "unaccounted-egress" || result.reason === "failed-to-start") return 125;
	if (result.exitCode !== null) return result.exitCode;
	return 128 + (constants.signals[result.signal as NodeJS.Signals] ?? 0);
}
