import { copyFileSync } from "node:fs";
import { exitCodeOf } from "../../runtime/index.ts";
import type { Invocation } from "../command.ts";
import { printJson } from "../screen.ts";
import { conductRequest } from "./conduct.ts";
import type { Machine } from "./machine.ts";
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
	return exitCodeOf(outcome.predicate.result);
}
