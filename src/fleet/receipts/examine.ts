import { generateKeyPairSync } from "node:crypto";
import { canonicalJson, digestOfJson, type Json, toBase64, utf8 } from "../../core/index.ts";
import {
	journalOriginOf,
	leafHash,
	type PublicKey,
	publicKeyFromRaw,
	receiptEntryOf,
	receiptFileBytes,
	signCheckpoint,
	signerOf,
	verifyReceipt,
} from "../../evidence/index.ts";
import {
	type DsseEnvelope,
	dsseEnvelopeSchema,
	RECEIPT_MEDIA_TYPE,
	type ReceiptPredicate,
} from "../../evidence/schema.ts";
import type { TerritoryRow } from "../store/tables.ts";

/** What a node posts: the signed statement of a run, which has no place in a journal yet. */
export interface ReceiptReport {
	readonly envelope?: unknown;
	readonly publicKey?: unknown;
}

export type ReceiptExamination =
	| {
			readonly kind: "good";
			readonly envelope: DsseEnvelope;
			readonly predicate: ReceiptPredicate;
			readonly publicKey: string;
	  }
	| { readonly kind: "bad"; readonly problem: string };

/**
 * Whether the key that this territory enrolled with signed it, and every claim in it holds. The last of them, its place in a
 * journal, is not there yet: it is examined as the only entry of a journal that a key of this moment signs, and that nobody
 * else ever sees.
 */
export function examineReceipt(report: ReceiptReport, territory: TerritoryRow): ReceiptExamination {
	const enrolled = territory.receipt_public_key;
	const key = enrolled === null ? undefined : publicKeyFromRaw(Buffer.from(enrolled, "base64"));
	if (key === undefined) return bad("this territory enrolled without a key for receipts");
	const read = dsseEnvelopeSchema.safeParse(report.envelope);
	if (!read.success) return bad(`envelope: ${read.error.issues[0]?.message ?? "it is no DSSE envelope of a receipt"}`);
	if (report.publicKey !== toBase64(key.raw)) return bad("publicKey is not the key that this territory enrolled with");
	const predicate = predicateIn(read.data);
	if (predicate === undefined) return bad("envelope: the payload is not a statement of a run");
	const publicKey = toBase64(key.raw);
	const verdict = verifyReceipt(...inOwnJournal(read.data, predicate, key));
	if (verdict.status === "verified")
		return { kind: "good", envelope: read.data, predicate: verdict.receipt.predicate, publicKey };
	return bad(verdict.reasons.map(({ sentence }) => sentence).join(" "));
}

function bad(problem: string): ReceiptExamination {
	return { kind: "bad", problem };
}

/** As it says of itself; nothing of it is believed before `verifyReceipt` has. */
function predicateIn(envelope: DsseEnvelope): ReceiptPredicate | undefined {
	try {
		const { predicate } = JSON.parse(Buffer.from(envelope.payload, "base64").toString("utf8"));
		const isWhole = typeof predicate?.runId === "string" && typeof predicate?.result?.finishedAt === "string";
		return isWhole ? predicate : undefined;
	} catch {
		return undefined;
	}
}

function inOwnJournal(
	envelope: DsseEnvelope,
	predicate: ReceiptPredicate,
	key: PublicKey,
): Parameters<typeof verifyReceipt> {
	const signer = signerOf(generateKeyPairSync("ed25519").privateKey);
	const root = leafHash(utf8(canonicalJson(receiptEntryOf(envelope, predicate))));
	const checkpoint = signCheckpoint({ origin: journalOriginOf(signer.publicKey), size: 1, root }, signer);
	const journal = { leafIndex: 0, path: [], checkpoint };
	const file = { mediaType: RECEIPT_MEDIA_TYPE, envelope, journal, publicKey: toBase64(key.raw) } as const;
	return [receiptFileBytes(file), { trustedKeys: [key], journalKeys: [signer.publicKey] }];
}

/** Whether the run says of itself what the control plane had decided: the same decision, and the same people. */
export function isDecidedHere(predicate: ReceiptPredicate, signedDecision: string | null): boolean {
	if (signedDecision === null) return false;
	const { payload } = JSON.parse(signedDecision) as { payload: string };
	const decided = JSON.parse(Buffer.from(payload, "base64").toString("utf8")) as { decision: Json; approvals: Json };
	return (
		digestOfJson(decided.decision) === digestOfJson(predicate.decision as Json) &&
		digestOfJson(decided.approvals) === digestOfJson(predicate.approvals as Json)
	);
}
