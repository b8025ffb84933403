import type { ReceiptPredicate } from "../../evidence/schema.ts";
import type { RunFiles } from "../../runtime/index.ts";

export interface RunOutcome {
	readonly predicate: ReceiptPredicate;
	readonly files: RunFiles;
	readonly hasDiff: boolean;
}
