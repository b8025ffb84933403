import { copyFileSync } from "node:fs";
import { exitCodeOf } from "../../runtime/index.ts";
import type { Action } from "../command.ts";
import { printJson } from "../screen.ts";
import { conductRequest } from "./conduct.ts";
import { measureEarly } from "./machine.ts";
import { realParts } from "./parts.ts";
import { reportOf, showReport } from "./report.ts";
import { readRequest } from "./request.ts";

/** `vouch run`: its exit code is the command's own. */
export const runAction: Action = async (invocation) => {
	const machine = measureEarly(invocation.flags.text("--isolation"));
	const request = readRequest(invocation, process.env);
	const outcome = await conductRequest(request, realParts(machine));
	if (request.receiptCopy !== null) copyFileSync(outcome.files.receipt, request.receiptCopy);
	if (request.show === "report") showReport(outcome);
	if (request.show === "json") printJson(reportOf(outcome));
	return exitCodeOf(outcome.predicate.result);
};
