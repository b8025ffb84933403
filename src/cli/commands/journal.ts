import { readFileSync } from "node:fs";
import { join } from "node:path";
import { receiptFileSchema } from "../../evidence/schema.ts";
import { verifyJournal } from "../../journal/index.ts";
import type { Action } from "../command.ts";
import { realParts } from "../run/parts.ts";
import { paint, printable, printJson } from "../screen.ts";
import { trustedKeys } from "./verify.ts";

export const journalVerifyAction: Action = async ({ flags }) => {
	const directory = flags.text("--directory") ?? join(realParts().directories.data, "journal");
	const verdict = verifyJournal(directory, trustedKeys(flags), rememberedCheckpoints());
	if (flags.has("--json")) printJson(verdict);
	else if (verdict.status === "holds") {
		process.stdout.write(`${paint("green", "holds", process.stdout)}  ${verdict.size} entries, root ${verdict.root}\n`);
	} else {
		const where = verdict.index === null ? "" : `entry ${verdict.index}: `;
		const file = verdict.file === "" ? "" : ` (${verdict.file})`;
		process.stdout.write(
			`${paint("red", "DOES NOT HOLD", process.stdout)}  ${where}${printable(verdict.problem + file)}\n`,
		);
	}
	return verdict.status === "holds" ? 0 : 1;
};

/** Receipts hold checkpoints, so they remember what the journal's own folder could be made to forget: an end cut off. */
function rememberedCheckpoints(): readonly string[] {
	const { records } = realParts();
	return records
		.list()
		.slice(0, MAX_REMEMBERED)
		.flatMap(({ runId }) => checkpointOf(records.files(runId).receipt) ?? []);
}

const MAX_REMEMBERED = 1000;

function checkpointOf(path: string): string | undefined {
	try {
		return receiptFileSchema.parse(JSON.parse(readFileSync(path, "utf8"))).journal.checkpoint;
	} catch {
		// A receipt that isn't there or was touched remembers nothing; `vouch verify` is what judges receipts.
		return undefined;
	}
}
