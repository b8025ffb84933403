import type { Action } from "../command.ts";
import { measureEarly } from "./machine.ts";

/** `vouch run`: its exit code is the command's own. */
export const runAction: Action = async (invocation) => {
	const machine = measureEarly(invocation.flags.text("--isolation"));
	// A driver's trial starts in this turn of the event loop. What is loaded next takes longer than it, and the two go on side by side.
	await new Promise((resolve) => setImmediate(resolve));
	const { carryOut } = await import("./carry-out.ts");
	return carryOut(invocation, machine);
};
