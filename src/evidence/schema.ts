import { z } from "zod";
import { type Digest, digestSchema, runIdSchema } from "../core/index.ts";
import { ledgerEntrySchema, ledgerSummarySchema } from "../egress/schema.ts";
import { approvalSchema, decisionSchema } from "../governance/schema.ts";
import {
	artifactSchema,
	guaranteeSchema,
	launchPlanSchema,
	shortfallSchema,
	workloadSchema,
} from "../runtime/schema.ts";

/** in-toto Statement v1 type and the predicate that Vouch defines. */
export const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
export const RECEIPT_PREDICATE_TYPE = "https://vouch.dev/receipt/v1";
export const DSSE_PAYLOAD_TYPE = "application/vnd.in-toto+json";
export const RECEIPT_MEDIA_TYPE = "application/vnd.vouch.receipt.v1+json";

const count = z.int().nonnegative();

export const treeChangeSchema = z.strictObject({
	path: z.string(),
	change: z.enum(["added", "removed", "modified", "mode", "type"]),
	/** Why a person should look at it: git hook, Vouch policy, setuid bit, executable added. Empty for most. */
	flags: z.array(z.enum(["git-hook", "git-config", "policy", "setuid", "symlink-outside", "executable"])),
});
export type TreeChange = z.infer<typeof treeChangeSchema>;

export const runResultSchema = z.strictObject({
	/** The command's exit code; null when a signal ended it or it never ran. */
	exitCode: z.int().min(0).max(255).nullable(),
	/** Signal name such as SIGKILL; null when it exited. */
	signal: z.string().nullable(),
	/** Why it ended. */
	reason: z.enum([
		"exited",
		"signaled",
		"timeout",
		"output-limit",
		"disk-write-limit",
		"out-of-memory",
		"cancelled",
		"unaccounted-egress",
		"failed-to-start",
		// What a machine did wrong rather than the command in it.
		"verity",
		"boot-timeout",
		"guest-stalled",
		"guest-protocol",
		"guest-lost",
	]),
	startedAt: z.iso.datetime(),
	finishedAt: z.iso.datetime(),
	durationMs: z.number().nonnegative(),
	stdoutBytes: count,
	stderrBytes: count,
	outputTruncated: z.boolean(),
	/** What a reader should know besides: files that were not brought back from a machine, and why. */
	notes: z.array(z.string().max(1000)).max(1000).optional(),
});
export type RunResult = z.infer<typeof runResultSchema>;

/** A clone that filled the workspace just before, in a sandbox of its own. */
export const preparationSchema = z.strictObject({
	/** Without user, password and query. */
	repository: z.string(),
	/** The branch or tag that was asked for; null for its default. */
	ref: z.string().nullable(),
	/** What HEAD named when it was done; null where there was no commit. */
	commit: z
		.string()
		.regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/)
		.nullable(),
	/** What it tried to reach, as of the run. */
	ledger: ledgerSummarySchema,
	ledgerEntries: z.array(ledgerEntrySchema),
});
export type Preparation = z.infer<typeof preparationSchema>;

export const receiptPredicateSchema = z.strictObject({
	schema: z.literal("vouch.receipt/v1"),
	runId: runIdSchema,
	workload: workloadSchema,
	workloadDigest: digestSchema,
	launchPlan: launchPlanSchema,
	launchPlanDigest: digestSchema,
	image: z.strictObject({ digest: digestSchema, verityRoot: z.string().nullable() }).nullable(),
	inputs: z.strictObject({
		workspaceBefore: digestSchema.nullable(),
		/** Digest of what was read from stdin and how much; null when stdin was closed. */
		stdin: z.strictObject({ digest: digestSchema, bytes: count }).nullable(),
	}),
	/** Absent when nothing was fetched to make the workspace. */
	preparation: preparationSchema.optional(),
	decision: decisionSchema,
	approvals: z.array(approvalSchema),
	ledger: ledgerSummarySchema,
	/** Every entry that the root covers. */
	ledgerEntries: z.array(ledgerEntrySchema),
	result: runResultSchema,
	workspaceAfter: digestSchema.nullable(),
	changes: z.strictObject({
		paths: z.array(treeChangeSchema),
		/** Changed paths past the listing limit. */
		omitted: count,
	}),
	/** Files that it handed over; absent when the workload asks for none. Each is a subject too. */
	artifacts: z.array(artifactSchema).optional(),
	node: z.strictObject({
		name: z.string(),
		/** Key id: SHA-256 of the raw Ed25519 public key. */
		keyId: digestSchema,
		programs: z.array(z.strictObject({ name: z.string(), version: z.string(), digest: digestSchema.nullable() })),
		kernel: z.string(),
	}),
	guarantees: z.strictObject({ kept: z.array(guaranteeSchema), notKept: z.array(shortfallSchema) }),
	/** RFC 9334 evidence whose challenge is the digest of all of the above. Empty at level L0. */
	evidence: z.array(z.looseObject({ format: z.string() })),
	statement: z.literal("This receipt proves what was enforced and observed, not that the code was right."),
});
export type ReceiptPredicate = z.infer<typeof receiptPredicateSchema>;

/** What follows from the other parts and is therefore never handed in. */
type Derived = "schema" | "workloadDigest" | "launchPlanDigest" | "guarantees" | "statement";

/** What happened, as the composition root measured it. */
export type ReceiptParts = Omit<ReceiptPredicate, Derived>;

/** Something that the run produced: stdout, stderr, a diff, an artifact. */
export interface ReceiptSubject {
	readonly name: string;
	readonly digest: Digest;
}

/** An artifact's name among the subjects: no other has a slash. */
export function artifactSubject(name: string): string {
	return `artifacts/${name}`;
}

/** Subjects are what the run produced: stdout, stderr, diff, artifacts. */
export const subjectSchema = z.strictObject({
	name: z.string(),
	digest: z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
});

export const receiptStatementSchema = z.strictObject({
	_type: z.literal(STATEMENT_TYPE),
	subject: z.array(subjectSchema).min(1),
	predicateType: z.literal(RECEIPT_PREDICATE_TYPE),
	predicate: receiptPredicateSchema,
});
export type ReceiptStatement = z.infer<typeof receiptStatementSchema>;

export const dsseEnvelopeSchema = z.strictObject({
	payloadType: z.literal(DSSE_PAYLOAD_TYPE),
	payload: z.string(),
	signatures: z.array(z.strictObject({ keyid: digestSchema, sig: z.string() })).length(1),
});
export type DsseEnvelope = z.infer<typeof dsseEnvelopeSchema>;

/** Proof that the envelope's digest is a leaf of the journal (RFC 6962 section 2.1.1, C2SP tlog-checkpoint). */
export const inclusionSchema = z.strictObject({
	leafIndex: count,
	/** Base64 hashes from leaf to root. */
	path: z.array(z.string()).max(64),
	/** C2SP signed note: origin, size, root hash, and one signature line. */
	checkpoint: z.string().max(4096),
});
export type Inclusion = z.infer<typeof inclusionSchema>;

/** The receipt file. Its bytes are the canonical JSON of this and one newline. */
export const receiptFileSchema = z.strictObject({
	mediaType: z.literal(RECEIPT_MEDIA_TYPE),
	envelope: dsseEnvelopeSchema,
	journal: inclusionSchema,
	/** The signer's raw Ed25519 public key, base64: to name it, never to trust it. */
	publicKey: z.string(),
});
export type ReceiptFile = z.infer<typeof receiptFileSchema>;
