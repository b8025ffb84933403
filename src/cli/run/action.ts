import { copyFile } from "node:fs/promises";
import { reasonOf } from "../../core/index.ts";
import { exitCodeOf } from "../../runtime/index.ts";
import type { Action } from "../command.ts";
import { fail } from "../failures.ts";
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
	if (request.show === "report") showReport(outcome);
	if (request.show === "json") printJson(reportOf(outcome));
	const copy = request.receiptCopy;
	if (copy !== null)
		await copyFile(outcome.files.receipt, copy).catch((error: unknown) => {
			throw fail(
				"cli.receipt-not-copied",
				{ path: copy, receipt: outcome.files.receipt, problem: reasonOf(error) },
				error,
			);
		});
	return exitCodeOf(outcome.predicate.result);
};
