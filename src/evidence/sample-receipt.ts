import { createPrivateKey } from "node:crypto";
import { canonicalJson, type Digest, digestOf, digestOfJson, type RunId, toBase64, utf8 } from "../core/index.ts";
import type { LedgerEntry, LedgerSummary } from "../egress/schema.ts";
import type { Workload } from "../runtime/schema.ts";
import { journalOriginOf, signCheckpoint } from "./checkpoint.ts";
import { type Signer, signerOf } from "./keys.ts";
import { leafHash, merkleRoot, subtreesOf, treeHash } from "./merkle.ts";
import { inclusionProof } from "./merkle-proof.ts";
import { type SealedReceipt, sealReceipt } from "./receipt.ts";
import { artifactSubject, type Inclusion, type ReceiptParts, type ReceiptSubject } from "./schema.ts";

/** A whole receipt with everything in it, for tests. Its keys come from seeds, so that every run of a test is the same. */

/** The Ed25519 signer whose seed is that byte, 32 times. */
export function sampleSigner(seed: number): Signer {
	const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, seed)]);
	return signerOf(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
}

export const SAMPLE_STDOUT = utf8("hello\n");
export const SAMPLE_STDERR = utf8("");

const runId = "01933b6e-7c00-7000-8000-0123456789ab" as RunId;

const workload: Workload = {
	schema: "vouch.workload/v1",
	root: { kind: "image", reference: "./rootfs", digest: digestOf("rootfs") },
	argv: ["python3", "job.py", "höflich 😀"],
	workingDirectory: "/workspace",
	environment: ["PATH", "TOKEN"],
	secrets: ["TOKEN"],
	workspace: { source: "/home/ada/project", access: "read-write", protected: [] },
	exposed: [],
	network: { mode: "allowlist", allow: ["api.example.com:443"], deny: [], http: [] },
	limits: {
		cpuMillicores: null,
		memoryMiB: 512,
		processes: 64,
		openFiles: null,
		diskWriteMiB: null,
		outputBytes: 1_048_576,
		timeoutMs: 60_000,
	},
	demands: ["filesystem-isolation"],
	isolation: null,
};

/** A ledger entry: even ones allowed, odd ones refused. */
export function sampleLedgerEntry(sequence: number): LedgerEntry {
	const isAllowed = sequence % 2 === 0;
	return {
		sequence,
		time: "2025-01-02T03:04:05.500Z",
		process: { pid: 2, name: "python3" },
		method: "CONNECT",
		protocol: "tcp",
		host: isAllowed ? "api.example.com" : "evil.example.net",
		port: 443,
		address: isAllowed ? "203.0.113.7" : null,
		sni: isAllowed ? "api.example.com" : null,
		httpHost: null,
		requests: [],
		verdict: isAllowed ? "allowed" : "refused",
		reason: isAllowed ? "OK" : "NOT_IN_ALLOWLIST",
		detail: isAllowed ? "the rule allows it" : "no rule names it",
		rule: isAllowed ? "api.example.com:443" : null,
		bytesUp: isAllowed ? 300 : 0,
		bytesDown: isAllowed ? 4000 : 0,
		bytesWithheld: 0,
		durationMs: 12.5,
		attempts: isAllowed ? 1 : 3,
	};
}

export function sampleLedger(entries: readonly LedgerEntry[]): LedgerSummary {
	const sum = (count: (entry: LedgerEntry) => number): number =>
		entries.reduce((total, entry) => total + count(entry), 0);
	return {
		root: merkleRoot(entries.map((entry) => utf8(canonicalJson(entry)))),
		entries: entries.length,
		overflow: 0,
		allowed: sum((entry) => (entry.verdict === "allowed" ? entry.attempts : 0)),
		refused: sum((entry) => (entry.verdict === "refused" ? entry.attempts : 0)),
		bytesUp: sum((entry) => entry.bytesUp),
		bytesDown: sum((entry) => entry.bytesDown),
		reconciliation: {
			verdict: "agrees",
			interfaceTxBytes: 1500,
			interfaceTxPackets: 12,
			interfaceRxBytes: 5200,
			interfaceRxPackets: 11,
			explainedBytes: 300,
			unexplainedBytes: 0,
		},
	};
}

export function sampleParts(
	signer: Signer,
	entries: readonly LedgerEntry[] = [0, 1].map(sampleLedgerEntry),
): ReceiptParts {
	const workloadDigest = digestOfJson(workload);
	return {
		runId,
		workload,
		launchPlan: {
			schema: "vouch.launch-plan/v1",
			driver: "bwrap",
			runId,
			workloadDigest,
			guarantees: {
				kept: ["filesystem-isolation", "network-deny-by-default"],
				notKept: [{ guarantee: "separate-kernel", reason: "it shares the kernel of the host" }],
			},
			limits: { enforced: [{ limit: "memoryMiB", by: "cgroup v1" }], notEnforced: [] },
			supervision: { argv: ["bwrap", "--unshare-all"] },
		},
		image: { digest: digestOf("rootfs"), verityRoot: null },
		inputs: { workspaceBefore: digestOf("before"), stdin: { digest: digestOf(""), bytes: 0 } },
		decision: {
			schema: "vouch.decision/v1",
			verdict: "needs-approval",
			workloadDigest,
			policies: [{ source: "vouch.policy.yaml", digest: digestOf("policy") }],
			reasons: [{ code: "network-needs-approval", sentence: "Reaching api.example.com needs a person's approval." }],
		},
		approvals: [
			{
				schema: "vouch.approval/v1",
				workloadDigest,
				verdict: "approved",
				approver: "ada",
				method: "terminal",
				time: "2025-01-02T03:04:04.000Z",
			},
		],
		ledger: sampleLedger(entries),
		ledgerEntries: [...entries],
		result: {
			exitCode: 0,
			signal: null,
			reason: "exited",
			startedAt: "2025-01-02T03:04:05.000Z",
			finishedAt: "2025-01-02T03:04:06.250Z",
			durationMs: 1250.25,
			stdoutBytes: SAMPLE_STDOUT.length,
			stderrBytes: SAMPLE_STDERR.length,
			outputTruncated: false,
		},
		workspaceAfter: digestOf("after"),
		changes: { paths: [{ path: "out.txt", change: "added", flags: [] }], omitted: 0 },
		node: {
			name: "node-1",
			keyId: signer.keyId,
			programs: [{ name: "bwrap", version: "0.8.0", digest: digestOf("bwrap") }],
			kernel: "6.1.0",
		},
		evidence: [],
	};
}

export function sampleSubjects(): ReceiptSubject[] {
	return [
		{ name: "stdout", digest: digestOf(SAMPLE_STDOUT) },
		{ name: "stderr", digest: digestOf(SAMPLE_STDERR) },
	];
}

/** Seals parts as they are, however little they fit each other. */
export function sampleSealed(
	signer: Signer,
	change: (parts: ReceiptParts) => ReceiptParts = (parts) => parts,
): SealedReceipt {
	const predicate = change(sampleParts(signer));
	const artifacts = (predicate.artifacts ?? []).map(({ name, digest }) => ({ name: artifactSubject(name), digest }));
	return sealReceipt({ predicate, subjects: [...sampleSubjects(), ...artifacts], signer });
}

/** The place of a sealed receipt in a journal of five entries, as its fourth. */
export function sampleInclusion(sealed: SealedReceipt, signer: Signer, founder: Signer = signer): Inclusion {
	const leaves = ["a", "b", "c", canonicalJson(sealed.entry), "e"].map((entry) => leafHash(utf8(entry)));
	const checkpoint = { origin: journalOriginOf(founder.publicKey), size: leaves.length, root: treeHash(leaves) };
	const path = inclusionProof(3, leaves.length, subtreesOf(leaves)).map(toBase64);
	return { leafIndex: 3, path, checkpoint: signCheckpoint(checkpoint, signer) };
}

export function sampleReceipt(signer: Signer, change?: (parts: ReceiptParts) => ReceiptParts): Uint8Array {
	const sealed = sampleSealed(signer, change);
	return sealed.withInclusion(sampleInclusion(sealed, signer));
}

/** A digest of nothing that is in the sample. */
export const OTHER_DIGEST: Digest = digestOf("something else");
