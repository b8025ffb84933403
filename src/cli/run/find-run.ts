import type { RunRecord, RunRecords } from "../../runtime/index.ts";
import { fail } from "../failures.ts";

/** The run whose id is, or begins with, what a person typed; `last` is the newest. Throws when there isn't exactly one. */
export function findRun(records: RunRecords, text: string): RunRecord {
	const all = records.list();
	const fits = text === "last" ? all.slice(0, 1) : all.filter((record) => record.runId.startsWith(text));
	const [found, ...others] = fits;
	if (found === undefined || text === "") throw fail("cli.run-not-found", { run: text });
	if (others.length > 0) throw fail("cli.run-ambiguous", { run: text, count: String(fits.length) });
	return found;
}
