import { runCommandLine } from "./command-line.ts";
import { rows } from "./commands/index.ts";

/** The whole command. */
export function main(argv: readonly string[]): Promise<void> {
	return runCommandLine(rows, argv);
}
