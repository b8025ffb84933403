import { writeFileSync } from "node:fs";
import { sealReceipt } from "../../evidence/index.ts";
import type { ReceiptPredicate } from "../../evidence/schema.ts";
import { type Finished, type Judged, type RunFiles, receiptPartsOf, subjectsOf } from "../../runtime/index.ts";
import type { Parts } from "./parts.ts";

export { merkleRoot } from "../../evidence/index.ts";

/** Signs what was observed, appends it to the journal, and writes the receipt file with its inclusion proof. */
export async function sealAndJournal(
	finished: Finished,
	judged: Judged,
	files: RunFiles,
	parts: Parts,
): Promise<ReceiptPredicate> {
	const signer = (await parts.keys()).signer();
	const predicate = receiptPartsOf(finished, judged, signer.keyId);
	const sealed = sealReceipt({ predicate, subjects: subjectsOf(finished, files), signer });
	const inclusion = (await parts.journal()).append(sealed.entry);
	writeFileSync(files.receipt, sealed.withInclusion(inclusion), { mode: 0o644, flag: "wx" });
	return sealed.predicate;
}
