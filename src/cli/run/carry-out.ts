import { copyFileSync } from "node:fs";
import { constants } from "node:os";
import type { Invocation } from "../command.ts";
import { printJson } from "../screen.ts";
import { conductRequest } from "./conduct.ts";
import type { Machine } from "./machine.ts";
import type { RunOutcome } from "./outcome.ts";
import { realParts } from "./parts.ts";
import { reportOf, showReport } from "./report.ts";
import { readRequest } from "./request.ts";

/** The run that a command line asks for, on a machine that is being looked at; its exit code. */
export async function carryOut(invocation: Invocation, machine: Machine): Promise<number> {
	const request = readRequest(invocation, process.env);
	const outcome = await conductRequest(request, realParts(machine));
	if (request.receiptCopy !== null) copyFileSync(outcome.files.receipt, request.receiptCopy);
	if (request.show === "report") showReport(outcome);
	if (request.show === "json") printJson(reportOf(outcome));
	return exitCodeOf(outcome);
}

/** Endings that are not the command's. */
const FAILED: ReadonlySet<string> = new Set([
	"unaccounted-egress",
	"failed-to-start",
	"verity",
	"boot-timeout",
	"guest-stalled",
	"guest-protocol",
	"guest-lost",
]);

/** 124 for a timeout, 125 when Vouch failed the run, 128 + N for a signal, else the command's own. */
function exitCodeOf({ predicate: { result } }: RunOutcome): number {
	if (result.reason === "timeout") return 124;
	if (FAILED.has(result.reason)) return 125;
	if (result.exitCode !== null) return result.exitCode;
	return 128 + (constants.signals[result.signal as NodeJS.Signals] ?? 0);
}
