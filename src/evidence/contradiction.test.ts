import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { canonicalJson, digestOfJson, type Json, type RunId, toBase64, utf8 } from "../core/index.ts";
import { journalOriginOf, signCheckpoint } from "./checkpoint.ts";
import { signEnvelope } from "./dsse.ts";
import { leafHash } from "./merkle.ts";
import { signNote } from "./note.ts";
import { receiptEntryOf, receiptFileBytes } from "./receipt.ts";
import { OTHER_DIGEST, sampleReceipt, sampleSigner } from "./sample-receipt.ts";
import {
	DSSE_PAYLOAD_TYPE,
	type Preparation,
	RECEIPT_MEDIA_TYPE,
	type ReceiptFile,
	type ReceiptPredicate,
	type ReceiptStatement,
	receiptStatementSchema,
} from "./schema.ts";
import { type Verdict, verifyReceipt } from "./verify.ts";

/** What a node with a bug, or a thief of its key, would sign. */

const signer = sampleSigner(1);
const sample = JSON.parse(Buffer.from(sampleReceipt(signer)).toString()) as ReceiptFile;
const statement = receiptStatementSchema.parse(JSON.parse(Buffer.from(sample.envelope.payload, "base64").toString()));

const verify = (bytes: Uint8Array): Verdict => verifyReceipt(bytes, { trustedKeys: [signer.publicKey] });
const broken = (verdict: Verdict): string[] =>
	verdict.claims.filter(({ status }) => status === "does-not-hold").map(({ claim }) => claim);

/** Signs any payload at all with the trusted key and journals it as it should be. */
function forge(payload: string, mend: (file: ReceiptFile) => ReceiptFile = (whole) => whole): Uint8Array {
	const envelope = signEnvelope(DSSE_PAYLOAD_TYPE, utf8(payload), signer);
	const read = receiptStatementSchema.safeParse(JSON.parse(payload));
	const predicate = read.success ? read.data.predicate : statement.predicate;
	const leaf = leafHash(utf8(canonicalJson(receiptEntryOf(envelope, predicate))));
	const checkpoint = signCheckpoint({ origin: journalOriginOf(signer.publicKey), size: 1, root: leaf }, signer);
	const journal = { leafIndex: 0, path: [], checkpoint };
	const publicKey = toBase64(signer.publicKey.raw);
	return receiptFileBytes(mend({ mediaType: RECEIPT_MEDIA_TYPE, envelope, journal, publicKey }));
}

/** A well-signed receipt whose statement was changed. */
function changed(change: (predicate: ReceiptPredicate, whole: ReceiptStatement) => unknown): Uint8Array {
	const copy = structuredClone(statement);
	change(copy.predicate, copy);
	return forge(canonicalJson(copy as Json));
}

function replan(predicate: ReceiptPredicate, change: Readonly<Record<string, unknown>>): void {
	Object.assign(predicate.launchPlan, change);
	predicate.launchPlanDigest = digestOfJson(predicate.launchPlan as Json);
}

const ended = (change: Partial<ReceiptPredicate["result"]>) => (p: ReceiptPredicate) => Object.assign(p.result, change);
const approved = (change: Partial<ReceiptPredicate["approvals"][number]>) => (p: ReceiptPredicate) =>
	p.approvals.map((approval) => Object.assign(approval, change));
const counted = (change: Partial<ReceiptPredicate["ledger"]["reconciliation"]>) => (p: ReceiptPredicate) =>
	Object.assign(p.ledger.reconciliation, change);
const set = (change: Partial<ReceiptPredicate>) => (p: ReceiptPredicate) => Object.assign(p, change);
const cloned =
	(change: Partial<Preparation> = {}) =>
	(p: ReceiptPredicate): void => {
		const { ledger, ledgerEntries } = structuredClone(p);
		const made = { repository: "https://example.com/a.git", ref: null, commit: "a".repeat(40), ledger, ledgerEntries };
		p.preparation = { ...made, ...change };
	};
const otherRun = "01933b6e-7c00-7000-8000-000000000000" as RunId;

const CASES: readonly (readonly [
	claim: string,
	what: string,
	(p: ReceiptPredicate, whole: ReceiptStatement) => unknown,
])[] = [
	["signer", "another node's key", (p) => Object.assign(p.node, { keyId: OTHER_DIGEST })],
	["statement", "two subjects of one name", (_, whole) => whole.subject.push(...whole.subject.slice(0, 1))],
	["workload", "a digest of another", set({ workloadDigest: OTHER_DIGEST })],
	["launch plan", "a digest of another", set({ launchPlanDigest: OTHER_DIGEST })],
	["launch plan", "one for another workload", (p) => replan(p, { workloadDigest: OTHER_DIGEST })],
	["launch plan", "one for another run", (p) => replan(p, { runId: otherRun })],
	["launch plan", "one for another driver", (p) => Object.assign(p.workload, { isolation: "container" })],
	["launch plan", "a member changed inside", (p) => Object.assign(p.launchPlan, { supervision: { argv: ["sh"] } })],
	["decision", "one on another workload", (p) => Object.assign(p.decision, { workloadDigest: OTHER_DIGEST })],
	["decision", "a denied workload", (p) => Object.assign(p.decision, { verdict: "deny" })],
	["decision", "a missing approval", set({ approvals: [] })],
	["decision", "a rejected approval", approved({ verdict: "rejected" })],
	["decision", "an approval of another workload", approved({ workloadDigest: OTHER_DIGEST })],
	["decision", "an approval after the start", approved({ time: "2025-01-02T03:04:05.001Z" })],
	["image", "another than asked for", set({ image: { digest: OTHER_DIGEST, verityRoot: null } })],
	["image", "none though asked for", set({ image: null })],
	["image", "one though none was asked for", (p) => Object.assign(p.workload, { root: { kind: "host" } })],
	["guarantees", "more than planned", (p) => p.guarantees.kept.push("deterministic")],
	["guarantees", "fewer shortfalls than planned", (p) => Object.assign(p.guarantees, { notKept: [] })],
	["guarantees", "a demanded one not kept", (p) => p.workload.demands.push("memory-encrypted")],
	["guarantees", "one both kept and not kept", (p) => p.guarantees.kept.push("separate-kernel")],
	["result", "an exit code and a signal", ended({ signal: "SIGKILL" })],
	["result", "neither exit code nor signal", ended({ exitCode: null })],
	["result", "a signal said to have exited", ended({ exitCode: null, signal: "SIGTERM" })],
	["result", "a start that never was, with an exit code", ended({ reason: "failed-to-start" })],
	["result", "a timeout with exit code and signal", ended({ reason: "timeout", signal: "SIGKILL" })],
	["result", "an end before the start", ended({ finishedAt: "2025-01-02T03:04:04.000Z" })],
	["result", "a duration that is not theirs", ended({ durationMs: 9000 })],
	["result", "unaccounted egress that no counter shows", ended({ reason: "unaccounted-egress" })],
	["workspace", "a changed one without changes", (p) => Object.assign(p.changes, { paths: [] })],
	["workspace", "changes in an unchanged one", (p) => Object.assign(p, { workspaceAfter: p.inputs.workspaceBefore })],
	["workspace", "no digest before", (p) => Object.assign(p.inputs, { workspaceBefore: null })],
	["workspace", "a digest of one that was not there", (p) => Object.assign(p.workload, { workspace: null })],
	["ledger", "another root", (p) => Object.assign(p.ledger, { root: OTHER_DIGEST })],
	[
		"ledger",
		"an entry changed",
		(p) => p.ledgerEntries.map((entry) => Object.assign(entry, { host: "other.example.com" })),
	],
	["ledger", "an entry left out", (p) => p.ledgerEntries.pop()],
	["ledger", "entries in another order", (p) => p.ledgerEntries.reverse()],
	["ledger", "a byte count that is not theirs", (p) => Object.assign(p.ledger, { bytesUp: 301 })],
	["ledger", "a refusal not counted", (p) => Object.assign(p.ledger, { refused: 0 })],
	["ledger", "an overflow not counted as refused", (p) => Object.assign(p.ledger, { overflow: 1 })],
	["kernel counters", "bytes that nothing explains", counted({ verdict: "unaccounted-egress" })],
	["kernel counters", "unexplained bytes called agreement", counted({ unexplainedBytes: 1 })],
	["kernel counters", "more sent than explained", counted({ interfaceTxBytes: 5000 })],
	["preparation", "a clone whose entries are not its ledger's", cloned({ ledgerEntries: [] })],
	[
		"preparation",
		"a clone that sent bytes that nothing explains",
		(p) => {
			cloned()(p);
			Object.assign(p.preparation?.ledger.reconciliation ?? {}, { verdict: "unaccounted-egress" });
		},
	],
	[
		"preparation",
		"a clone for no workspace",
		(p) => {
			cloned()(p);
			Object.assign(p.workload, { workspace: null });
		},
	],
	["artifacts", "one that nobody asked for", set({ artifacts: [{ name: "a", bytes: 1, digest: OTHER_DIGEST }] })],
	["artifacts", "none said though asked for", (p) => Object.assign(p.workload, { artifacts: ["a"] })],
	[
		"artifacts",
		"one that is no subject",
		(p) => {
			Object.assign(p.workload, { artifacts: ["*"] });
			Object.assign(p, { artifacts: [{ name: "a", bytes: 1, digest: OTHER_DIGEST }] });
		},
	],
	[
		"artifacts",
		"a subject that is none",
		(_, whole) => whole.subject.push({ name: "artifacts/a", digest: { sha256: "0".repeat(64) } }),
	],
	["attestation", "evidence nobody can check", (p) => p.evidence.push({ format: "tpm2" })],
];

describe("a well-signed statement that contradicts itself", () => {
	it("is what the cases change: unchanged it verifies", () => {
		assert.equal(verify(changed(() => {})).status, "verified");
	});

	for (const [claim, what, change] of CASES) {
		it(`is rejected for its ${claim}: ${what}`, () => {
			const verdict = verify(changed(change));
			assert.equal(verdict.status, "rejected");
			assert.ok(broken(verdict).includes(claim), `${broken(verdict)}`);
			// Whatever contradicts itself inside, the file and its signature are in order.
			for (const sound of ["file form", "signature", "payload", "journal"])
				assert.ok(!broken(verdict).includes(sound), sound);
		});
	}

	it("says what a clone reached, and is good with it", () => {
		const verdict = verify(changed(cloned()));
		assert.equal(verdict.status, "verified");
		const { status, detail } = verdict.claims.find(({ claim }) => claim === "preparation") ?? assert.fail();
		assert.equal(status, "holds");
		assert.match(detail, /^cloned https:\/\/example\.com\/a\.git: commit a{40}; 1 allowed, 3 refused, 300 bytes out$/);
	});

	it("has a case for every claim about the run", () => {
		const claims = verify(changed(() => {})).claims.map(({ claim }) => claim);
		const elsewhere = ["file form", "signature", "payload", "outputs", "journal", "re-execution"];
		assert.deepEqual(
			[...new Set(CASES.map(([claim]) => claim))].sort(),
			claims.filter((claim) => !elsewhere.includes(claim)).sort(),
		);
	});

	it("honestly reports unaccounted egress, and is rejected for that claim alone", () => {
		const verdict = verify(
			changed((p) => {
				Object.assign(p.ledger.reconciliation, { verdict: "unaccounted-egress", unexplainedBytes: 900 });
				Object.assign(p.result, { reason: "unaccounted-egress" });
			}),
		);
		assert.deepEqual(broken(verdict), ["kernel counters"]);
	});

	it("is rejected when its payload is spelt, nested or typed otherwise", () => {
		const text = canonicalJson(statement as Json);
		const payloads = {
			"white space": `${text} `,
			"an unknown member": text.replace('"runId":', '"bonus":1,"runId":'),
			"a prototype as a member of the launch plan": text.replace(
				'"driver":"bwrap"',
				'"__proto__":{"x":1},"driver":"bwrap"',
			),
			"a member twice": text.replace('"runId":', '"runId":"x","runId":'),
			"another predicate type": text.replace('receipt/v1"', 'receipt/v2"'),
			"another statement type": text.replace("Statement/v1", "Statement/v0.1"),
			"a lone surrogate": text.replace("python3", "\\ud800"),
			"a number without a canonical form": text.replace('"durationMs":1250.25', '"durationMs":1e400'),
			"no object": "1",
		};
		for (const [name, payload] of Object.entries(payloads)) {
			assert.notEqual(payload, text, name);
			const verdict = verify(forge(payload));
			assert.equal(verdict.status, "rejected", name);
			assert.ok(broken(verdict).includes("payload"), name);
		}
	});

	it("is rejected when its checkpoint names no Vouch journal", () => {
		const bytes = forge(canonicalJson(statement as Json), (whole) => {
			const [, size, root] = whole.journal.checkpoint.split("\n");
			const checkpoint = signNote(`example.com/log\n${size}\n${root}\n`, "example.com/log", signer);
			return { ...whole, journal: { ...whole.journal, checkpoint } };
		});
		assert.deepEqual(broken(verify(bytes)), ["journal"]);
	});
});
