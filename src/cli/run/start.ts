/**
 * `vouch run` as the package has it: a bundle of its own, so that what nearly every run needs is one file, which Node reads and
 * V8 takes from its cache at once. See rolldown.config.ts and bin/vouch.cjs.
 */
import { runCommandLine } from "../command-line.ts";
import { runRow } from "../commands/run.row.ts";

// The row loads it by itself; here it is loaded already.
export { runAction } from "./action.ts";

export async function main(argv: readonly string[]): Promise<void> {
	await runCommandLine([runRow], argv);
	// All is kept and said by now. Node would take its heap apart before it ends, for longer than a receipt takes to write.
	if (process.stdout.writableLength + process.stderr.writableLength === 0) process.exit();
}
