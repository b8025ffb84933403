import type { RunResult } from "../../evidence/schema.ts";
import { exitCodeOf } from "../../runtime/index.ts";
import type { Execution } from "../engine.ts";

/** A run's result as the node protocol has it (conduits section 7.6). */
export function endingOf(result: RunResult): Pick<Execution, "status" | "exitCode"> {
	const exitCode = exitCodeOf(result);
	if (result.reason === "timeout") return { status: "timed_out", exitCode };
	if (result.reason === "cancelled") return { status: "canceled", exitCode: exitCode === 0 ? 137 : exitCode };
	const isGood = result.reason === "exited" && exitCode === 0;
	// A limit ended it: what its exit code was then says nothing good.
	return { status: isGood ? "succeeded" : "failed", exitCode: isGood || exitCode !== 0 ? exitCode : 137 };
}
