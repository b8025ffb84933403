import { canonicalJson, type Digest, digestOfJson, type Json, toBase64, utf8 } from "../core/index.ts";
import type { ReceiptEntry } from "../journal/schema.ts";
import { signEnvelope } from "./dsse.ts";
import type { Signer } from "./keys.ts";
import {
	DSSE_PAYLOAD_TYPE,
	type DsseEnvelope,
	type Inclusion,
	RECEIPT_MEDIA_TYPE,
	type ReceiptFile,
	type ReceiptParts,
	type ReceiptPredicate,
	type ReceiptSubject,
} from "./schema.ts";
import { makeStatement } from "./statement.ts";

/** A signed receipt that still lacks its place in the journal. */
export interface SealedReceipt {
	readonly predicate: ReceiptPredicate;
	readonly envelope: DsseEnvelope;
	readonly envelopeDigest: Digest;
	/** What the journal must append before the file can be written. */
	readonly entry: ReceiptEntry;
	/** Bytes of the receipt file. */
	withInclusion(inclusion: Inclusion): Uint8Array;
}

/** Signs what happened. Throws `statement-malformed` when a part does not fit the schema. */
export function sealReceipt(run: {
	readonly predicate: ReceiptParts;
	readonly subjects: readonly ReceiptSubject[];
	readonly signer: Signer;
}): SealedReceipt {
	const statement = makeStatement(run.predicate, run.subjects);
	const payload = utf8(canonicalJson(statement as Json));
	const envelope = signEnvelope(DSSE_PAYLOAD_TYPE, payload, run.signer);
	const publicKey = toBase64(run.signer.publicKey.raw);
	return {
		predicate: statement.predicate,
		envelope,
		envelopeDigest: digestOfJson(envelope),
		entry: receiptEntryOf(envelope, statement.predicate),
		withInclusion: (journal) => receiptFileBytes({ mediaType: RECEIPT_MEDIA_TYPE, envelope, journal, publicKey }),
	};
}

/** The journal entry that a receipt must have: nothing in it comes from anywhere but the receipt. */
export function receiptEntryOf(envelope: DsseEnvelope, predicate: ReceiptPredicate): ReceiptEntry {
	return {
		kind: "receipt",
		digest: digestOfJson(envelope),
		runId: predicate.runId,
		time: predicate.result.finishedAt,
	};
}

/** The one spelling of a receipt file: canonical JSON and a newline. */
export function receiptFileBytes(file: ReceiptFile): Uint8Array {
	return utf8(`${canonicalJson(file)}\n`);
}
