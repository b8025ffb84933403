import { z } from "zod";
import { digestSchema, idSchema, runIdSchema } from "../core/index.ts";
import { approvalSchema, decisionSchema } from "../governance/schema.ts";

export const KEY_SUCCESSION_TYPE = "application/vnd.vouch.key-succession.v1+json";

/** The payload that an old node key signs to name its successor. */
export const keySuccessionSchema = z.strictObject({
	schema: z.literal("vouch.key-succession/v1"),
	/** Key ids: SHA-256 of the raw Ed25519 public keys. */
	previous: digestSchema,
	next: digestSchema,
	/** The successor's raw public key, base64. */
	publicKey: z.string().length(44),
	time: z.iso.datetime(),
});
export type KeySuccession = z.infer<typeof keySuccessionSchema>;

/** DSSE envelope of a succession, signed by the previous key. */
export const successionEnvelopeSchema = z.strictObject({
	payloadType: z.literal(KEY_SUCCESSION_TYPE),
	payload: z.string().max(2048),
	signatures: z.tuple([z.strictObject({ keyid: digestSchema, sig: z.string().length(88) })]),
});

/** A finished run: everything in it is recomputed from the receipt, so the leaf can be too. */
export const receiptEntrySchema = z.strictObject({
	kind: z.literal("receipt"),
	/** Digest of the receipt's DSSE envelope in canonical JSON. */
	digest: digestSchema,
	runId: runIdSchema,
	/** When the run finished. */
	time: z.iso.datetime(),
});
export type ReceiptEntry = z.infer<typeof receiptEntrySchema>;

const auditEventIdSchema = idSchema("AuditEventId");
export type AuditEventId = z.infer<typeof auditEventIdSchema>;

/** One entry of the journal. Its leaf is the canonical JSON, at most 65,535 bytes (C2SP tlog-tiles, entry bundles). */
export const journalEntrySchema = z.discriminatedUnion("kind", [
	receiptEntrySchema,
	z.strictObject({
		kind: z.literal("decision"),
		/** Digest of the decision in canonical JSON. */
		digest: digestSchema,
		time: z.iso.datetime(),
		runId: runIdSchema,
		verdict: decisionSchema.shape.verdict,
		workloadDigest: digestSchema,
	}),
	z.strictObject({
		kind: z.literal("audit"),
		/** Digest of the audit events from the first to the last one, as an array in canonical JSON. */
		digest: digestSchema,
		time: z.iso.datetime(),
		first: auditEventIdSchema,
		last: auditEventIdSchema,
		/** How many they are. */
		events: z.int().positive(),
	}),
	z.strictObject({
		kind: z.literal("approval"),
		/** Digest of `approval` in canonical JSON. */
		digest: digestSchema,
		time: z.iso.datetime(),
		runId: runIdSchema,
		approval: approvalSchema,
	}),
	z.strictObject({
		kind: z.literal("key-succession"),
		/** Key id of the new key. */
		digest: digestSchema,
		time: z.iso.datetime(),
		envelope: successionEnvelopeSchema,
	}),
]);
export type JournalEntry = z.infer<typeof journalEntrySchema>;
