import type { Failure, NonEmpty } from "../core/index.ts";
import type { Claim, ClaimStatus } from "./claim.ts";
import { type Expectations, examine } from "./examination.ts";
import { failure } from "./failures.ts";
import { fileForm, journalInclusion, payloadForm, signature, signer, statementType } from "./file-claims.ts";
import { artifacts, outputs } from "./output-claims.ts";
import {
	attestation,
	decision,
	guarantees,
	image,
	kernelCounters,
	launchPlan,
	ledger,
	preparation,
	reExecution,
	result,
	workload,
	workspace,
} from "./run-claims.ts";
import type { ReceiptStatement } from "./schema.ts";

/** Every claim of a receipt, in the order they are shown. All are checked, whatever the first ones give. */
const CHECKLIST: NonEmpty<Claim> = [
	fileForm,
	signer,
	signature,
	payloadForm,
	statementType,
	workload,
	launchPlan,
	decision,
	image,
	guarantees,
	result,
	workspace,
	ledger,
	kernelCounters,
	preparation,
	outputs,
	artifacts,
	journalInclusion,
	attestation,
	reExecution,
];

/** A value that a trusted key signed and that fits itself in every claim. Only `verifyReceipt` makes one. */
export type Verified<T> = T & { readonly [verified]: true };
declare const verified: unique symbol;

export interface ClaimResult {
	readonly claim: string;
	readonly status: ClaimStatus;
	readonly detail: string;
}

export type Verdict =
	| {
			readonly status: "verified";
			/** Computed from what holds, never claimed: L0 is "signed by a trusted node key". */
			readonly level: "L0";
			readonly claims: readonly ClaimResult[];
			readonly receipt: Verified<ReceiptStatement>;
	  }
	| {
			/** `unreadable` is not a receipt at all: not JSON, or not of its schema. */
			readonly status: "rejected" | "unreadable";
			readonly level: "none";
			readonly claims: readonly ClaimResult[];
			/** One for each claim that does not hold. */
			readonly reasons: NonEmpty<Failure>;
	  };

/** Checks a receipt file against itself and the keys given. Needs no network, no clock and no file. Never throws. */
export function verifyReceipt(bytes: Uint8Array, expectations: Expectations): Verdict {
	const examination = examine(bytes, expectations);
	if (examination.kind === "unreadable") return unreadable(examination.reason);
	const { examined } = examination;
	const claims = CHECKLIST.map(({ claim, check }) => ({ claim, ...check(examined) }));
	const [first, ...others] = claims.filter(({ status }) => status === "does-not-hold").map(asFailure);
	if (first !== undefined) return { status: "rejected", level: "none", claims, reasons: [first, ...others] };
	if (examined.payload.kind === "unreadable") throw new TypeError("every claim held of a payload that can't be read");
	return { status: "verified", level: "L0", claims, receipt: examined.payload.statement as Verified<ReceiptStatement> };
}

function unreadable(reason: Failure): Verdict {
	const claims: ClaimResult[] = [{ claim: fileForm.claim, status: "does-not-hold", detail: reason.sentence }];
	return { status: "unreadable", level: "none", claims, reasons: [reason] };
}

function asFailure({ claim, detail }: ClaimResult): Failure {
	return failure("claim-does-not-hold", { claim, detail });
}
