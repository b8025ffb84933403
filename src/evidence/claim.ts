import type { PublicKey } from "./keys.ts";
import type { ReceiptFile, ReceiptPredicate, ReceiptStatement } from "./schema.ts";

/** What became of one claim. `not-claimed` is neither good nor bad: the receipt says nothing about it. */
export type ClaimStatus = "holds" | "does-not-hold" | "not-claimed";

export interface Finding {
	readonly status: ClaimStatus;
	/** What was compared and found, in words for people. Begins in lower case and ends without a full stop. */
	readonly detail: string;
}

/** A receipt file taken apart, before anything in it is believed. */
export interface Examined {
	readonly file: ReceiptFile;
	/** Whether the bytes are the one spelling of what the file says. */
	readonly isCanonical: boolean;
	/** The trusted key that the envelope names; undefined when no trusted key has that id. */
	readonly signer: PublicKey | undefined;
	readonly trustedKeyCount: number;
	/** Whose checkpoints count beside the signer's own. */
	readonly journalKeys: readonly PublicKey[];
	/** What the payload says; the reason when it can't be read. */
	readonly payload:
		| { readonly kind: "statement"; readonly statement: ReceiptStatement; readonly isCanonical: boolean }
		| { readonly kind: "unreadable"; readonly why: string };
	/** Outputs handed in to be compared, by subject name. */
	readonly outputs: Readonly<Record<string, Uint8Array>>;
}

/** One row of the checklist. */
export interface Claim {
	readonly claim: string;
	readonly check: (examined: Examined) => Finding;
}

export function holds(detail: string): Finding {
	return { status: "holds", detail };
}

export function doesNotHold(detail: string): Finding {
	return { status: "does-not-hold", detail };
}

export function notClaimed(detail: string): Finding {
	return { status: "not-claimed", detail };
}

/** A row that reads the predicate; without one there is nothing that could hold. */
export function predicateClaim(
	claim: string,
	check: (predicate: ReceiptPredicate, examined: Examined) => Finding,
): Claim {
	return {
		claim,
		check: (examined) =>
			examined.payload.kind === "statement"
				? check(examined.payload.statement.predicate, examined)
				: doesNotHold("the payload can't be read"),
	};
}

/** Holds when no problem was found, otherwise says every one of them. */
export function holdsUnless(problems: readonly (string | false)[], detail: string): Finding {
	const found = problems.filter((problem) => problem !== false);
	return found.length === 0 ? holds(detail) : doesNotHold(found.join("; "));
}
