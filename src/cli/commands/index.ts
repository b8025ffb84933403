/** The command table: what there is, and how each command is called. Rows hold data; each loads its action when it runs. */
import type { CommandRow } from "../command.ts";
import { completionRow } from "./completion.row.ts";
import { doctorRow } from "./doctor.row.ts";
import { journalVerifyRow } from "./journal.row.ts";
import { keyRotateRow, keyShowRow, keyTrustRow } from "./key.row.ts";
import { policyCheckRow } from "./policy.row.ts";
import { runRow } from "./run.row.ts";
import { logsRow, runsRow, showRow } from "./runs.row.ts";
import { verifyRow } from "./verify.row.ts";

/** Every command, in the order in which help shows them. To add one: docs/checklists/command.md. */
export const rows: readonly CommandRow[] = [
	runRow,
	verifyRow,
	runsRow,
	showRow,
	logsRow,
	journalVerifyRow,
	keyShowRow,
	keyRotateRow,
	keyTrustRow,
	policyCheckRow,
	doctorRow,
	completionRow,
];
