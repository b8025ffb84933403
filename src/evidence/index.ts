/**
 * evidence: evidence in, verdict out. Receipts (in-toto in DSSE), Merkle proofs, signed notes, keys.
 *
 * Hides     the wire forms: DSSE encoding, C2SP notes and checkpoints, RFC 6962 hashing, RFC 9162 proofs.
 * Promises  a receipt verifies only when a trusted key signed it and every part fits every other; one changed byte rejects it.
 * Never     does I/O, reads a clock, or takes a key from the receipt for a trusted one.
 * Start at  `verify.ts`: it reads as the checklist.
 */
export {
	type Checkpoint,
	journalOriginOf,
	parseCheckpoint,
	type SignedCheckpoint,
	signCheckpoint,
} from "./checkpoint.ts";
export type { ClaimStatus } from "./claim.ts";
export { type Envelope, openEnvelope, preAuthenticationEncoding, signEnvelope } from "./dsse.ts";
export { type Expectations, MAX_RECEIPT_BYTES } from "./examination.ts";
export {
	formatPublicKey,
	type ParsedPublicKey,
	type PublicKey,
	parsePublicKey,
	publicKeyFromRaw,
	type Signer,
	signerOf,
} from "./keys.ts";
export {
	EMPTY_ROOT,
	Frontier,
	HASH_BYTES,
	leafHash,
	merkleRoot,
	nodeHash,
	rangeHash,
	type SubtreeHashes,
	subtreesOf,
	treeHash,
} from "./merkle.ts";
export {
	consistencyProof,
	inclusionProof,
	rootOfInclusion,
	verifyConsistency,
	verifyInclusion,
} from "./merkle-proof.ts";
export { noteVerifierKey } from "./note.ts";
export { receiptEntryOf, receiptFileBytes, type SealedReceipt, sealReceipt } from "./receipt.ts";
// A whole receipt for tests, of other folders too.
export { sampleInclusion, sampleReceipt, sampleSealed, sampleSigner } from "./sample-receipt.ts";
export type { ReceiptParts, ReceiptSubject } from "./schema.ts";
export { makeStatement } from "./statement.ts";
export { renderVerdict, type VerdictLines } from "./verdict.ts";
export { type ClaimResult, type Verdict, type Verified, verifyReceipt } from "./verify.ts";
