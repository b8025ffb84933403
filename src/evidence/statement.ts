import type { z } from "zod";
import { digestOfJson, hexOfDigest, type Json } from "../core/index.ts";
import { fail } from "./failures.ts";
import {
	RECEIPT_PREDICATE_TYPE,
	type ReceiptParts,
	type ReceiptPredicate,
	type ReceiptStatement,
	type ReceiptSubject,
	receiptStatementSchema,
	STATEMENT_TYPE,
} from "./schema.ts";

/** The in-toto statement of one run. Throws `statement-malformed` when the parts do not fit the schema: a bug. */
export function makeStatement(parts: ReceiptParts, subjects: readonly ReceiptSubject[]): ReceiptStatement {
	const predicate: ReceiptPredicate = {
		...parts,
		schema: "vouch.receipt/v1",
		workloadDigest: digestOfJson(parts.workload),
		launchPlanDigest: digestOfJson(parts.launchPlan as Json),
		guarantees: parts.launchPlan.guarantees,
		statement: "This receipt proves what was enforced and observed, not that the code was right.",
	};
	const parsed = receiptStatementSchema.safeParse({
		_type: STATEMENT_TYPE,
		subject: subjects.map(({ name, digest }) => ({ name, digest: { sha256: hexOfDigest(digest) } })),
		predicateType: RECEIPT_PREDICATE_TYPE,
		predicate,
	});
	if (!parsed.success) throw fail("statement-malformed", { run: parts.runId, ...firstIssue(parsed.error) });
	return parsed.data;
}

/** The first thing that does not fit, as words for a sentence. */
export function firstIssue(error: z.ZodError): { member: string; why: string } {
	const [issue] = error.issues;
	const path = issue?.path.map(String).join(".") ?? "";
	return { member: path === "" ? "the whole" : path, why: issue?.message ?? "does not fit" };
}
