import type { Action } from "../command.ts";
import { completionScript, shells } from "../completion/index.ts";
import { fail } from "../failures.ts";
import { rows } from "./index.ts";

export const completionAction: Action = async ({ operands }) => {
	const shell = shells.find((known) => known === operands[0]);
	if (shell === undefined) {
		throw fail("cli.usage", { problem: `There is completion for ${shells.join(", ")}, not for "${operands[0]}".` });
	}
	process.stdout.write(completionScript(shell, rows));
	return 0;
};
