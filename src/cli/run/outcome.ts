import type { LedgerEntry, LedgerSummary } from "../../egress/schema.ts";
import type { ReceiptPredicate } from "../../evidence/schema.ts";
import type { TreeSnapshot } from "../../host/index.ts";
import type { WorkspaceChanges } from "./changes.ts";
import type { Observed } from "./observe.ts";
import type { PreparedRun } from "./prepare.ts";
import type { Programs } from "./programs.ts";
import type { RunFiles } from "./records.ts";

export interface RunOutcome {
	readonly predicate: ReceiptPredicate;
	readonly files: RunFiles;
	readonly hasDiff: boolean;
}

export interface Ledger {
	readonly summary: LedgerSummary;
	readonly entries: LedgerEntry[];
}

/** Everything a receipt is made of. */
export interface Finished {
	readonly prepared: PreparedRun;
	readonly observed: Observed;
	readonly ledger: Ledger;
	readonly before: TreeSnapshot | null;
	readonly changes: WorkspaceChanges;
	readonly diff: Uint8Array | null;
	readonly programs: Programs;
}
