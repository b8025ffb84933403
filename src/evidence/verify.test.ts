import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { canonicalJson, digestOf, digestOfJson, toBase64, utf8 } from "../core/index.ts";
import { EMPTY_ROOT } from "./merkle.ts";
import { receiptFileBytes } from "./receipt.ts";
import {
	SAMPLE_STDERR,
	SAMPLE_STDOUT,
	sampleInclusion,
	sampleReceipt,
	sampleSealed,
	sampleSigner,
} from "./sample-receipt.ts";
import { type Inclusion, type ReceiptFile, receiptStatementSchema } from "./schema.ts";
import { renderVerdict } from "./verdict.ts";
import { type Verdict, verifyReceipt } from "./verify.ts";

const signer = sampleSigner(1);
const stranger = sampleSigner(2);
const trustedKeys = [stranger.publicKey, signer.publicKey].slice(1);
const receipt = sampleReceipt(signer);
const file = JSON.parse(Buffer.from(receipt).toString()) as ReceiptFile;
const statement = receiptStatementSchema.parse(JSON.parse(Buffer.from(file.envelope.payload, "base64").toString()));

const verify = (bytes: Uint8Array): Verdict => verifyReceipt(bytes, { trustedKeys });
const broken = (verdict: Verdict): string[] =>
	verdict.claims.filter(({ status }) => status === "does-not-hold").map(({ claim }) => claim);
const detailOf = (verdict: Verdict, claim: string): string =>
	verdict.claims.find((row) => row.claim === claim)?.detail ?? "";

describe("a whole receipt", () => {
	it("verifies at level L0 and claims neither attestation nor re-execution", () => {
		const verdict = verify(receipt);
		assert.ok(verdict.status === "verified", JSON.stringify(verdict.claims, null, 1));
		assert.equal(verdict.level, "L0");
		assert.equal(verdict.receipt.predicate.runId, statement.predicate.runId);
		const open = verdict.claims.filter(({ status }) => status === "not-claimed").map(({ claim }) => claim);
		assert.deepEqual(open, ["preparation", "outputs", "artifacts", "attestation", "re-execution"]);
		assert.equal(renderVerdict(verdict).exitCode, 0);
	});

	it("compares outputs that are handed in", () => {
		const check = (subjects: Record<string, Uint8Array>): string[] =>
			broken(verifyReceipt(receipt, { trustedKeys, subjects }));
		assert.deepEqual(check({ stdout: SAMPLE_STDOUT, stderr: SAMPLE_STDERR }), []);
		assert.deepEqual(check({ stdout: utf8("hullo\n") }), ["outputs"]);
		assert.deepEqual(check({ "workspace.diff": utf8("") }), ["outputs"]);
		assert.deepEqual(check({ constructor: utf8("") }), ["outputs"]);
	});

	it("holds what a run handed over to what was asked for, and to the files themselves", () => {
		const file = utf8("built\n");
		const artifacts = [{ name: "dist/app", bytes: file.length, digest: digestOf(file) }];
		const asking = (patterns: string[]) =>
			sampleReceipt(signer, (parts) => {
				const asked = { ...parts.workload, artifacts: patterns };
				const launchPlan = { ...parts.launchPlan, workloadDigest: digestOfJson(asked) };
				const decision = { ...parts.decision, workloadDigest: digestOfJson(asked) };
				const approvals = parts.approvals.map((each) => ({ ...each, workloadDigest: digestOfJson(asked) }));
				return { ...parts, workload: asked, launchPlan, decision, approvals, artifacts };
			});
		const verdict = verifyReceipt(asking(["dist/"]), { trustedKeys, subjects: { "artifacts/dist/app": file } });
		assert.equal(verdict.status, "verified", JSON.stringify(verdict.claims));
		assert.match(detailOf(verdict, "artifacts"), /^1 file, 6 B/);
		const other = verifyReceipt(asking(["dist/"]), { trustedKeys, subjects: { "artifacts/dist/app": utf8("bilt\n") } });
		assert.deepEqual(broken(other), ["outputs"]);
		assert.deepEqual(broken(verify(asking(["*.txt"]))), ["artifacts"]);
	});

	it("still verifies with the old key after the journal went on under a new one", () => {
		const sealed = sampleSealed(signer);
		const bytes = sealed.withInclusion(sampleInclusion(sealed, signer, stranger));
		assert.equal(verify(bytes).status, "verified", "the origin names the founder, the signature the key of the day");
		const other = sealed.withInclusion(sampleInclusion(sealed, stranger));
		assert.deepEqual(broken(verifyReceipt(other, { trustedKeys: [signer.publicKey, stranger.publicKey] })), [
			"journal",
		]);
	});
});

describe("a receipt with one changed byte", () => {
	it("is rejected, for every byte of the file, with a reason", () => {
		for (const at of receipt.keys()) {
			const bytes = receipt.slice();
			bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
			const verdict = verify(bytes);
			assert.notEqual(verdict.status, "verified", `byte ${at}`);
			assert.ok(broken(verdict).length > 0 && "reasons" in verdict && verdict.reasons[0].sentence.length > 20);
		}
	});

	it("is rejected for any bit and any replacement", () => {
		fc.assert(
			fc.property(fc.nat({ max: receipt.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
				const bytes = receipt.slice();
				bytes[at] = (bytes[at] ?? 0) ^ flip;
				assert.notEqual(verify(bytes).status, "verified");
			}),
			{ numRuns: 1500 },
		);
	});

	it("is rejected when cut anywhere, lengthened, or doubled", () => {
		fc.assert(
			fc.property(fc.nat({ max: receipt.length - 1 }), (length) => {
				assert.notEqual(verify(receipt.subarray(0, length)).status, "verified");
			}),
			{ numRuns: 200 },
		);
		for (const tail of ["\n", " ", "\0", "{}", "x"]) {
			assert.notEqual(verify(Buffer.concat([receipt, utf8(tail)])).status, "verified", JSON.stringify(tail));
		}
		assert.equal(verify(Buffer.concat([receipt, receipt])).status, "unreadable");
		assert.equal(verify(Buffer.concat([utf8("\ufeff"), receipt])).status, "unreadable");
		assert.equal(verify(receipt.subarray(0, -1)).status, "rejected", "the newline belongs to the file");
	});
});

describe("a file that is no receipt", () => {
	it("is unreadable: exit code 2", () => {
		const cases: readonly (readonly [string | Uint8Array, RegExp])[] = [
			["", /not a JSON text/],
			["hello", /not a JSON text/],
			["[]", /not-a-receipt|the whole/],
			["{}", /mediaType/],
			[Uint8Array.of(0xff, 0xfe), /not a JSON text/],
			["[".repeat(1_000_000), /not a JSON text/],
			[canonicalJson({ ...file, mediaType: "text/plain" }), /mediaType/],
			[canonicalJson({ ...file, extra: 1 }), /the whole/],
			[`${canonicalJson(file).slice(0, -1)},"publicKey":"x"}\n`, /two members/],
			[canonicalJson({ ...file, envelope: { ...file.envelope, signatures: [] } }), /envelope.signatures/],
		];
		for (const [bytes, why] of cases) {
			const verdict = verify(typeof bytes === "string" ? utf8(bytes) : bytes);
			assert.equal(verdict.status, "unreadable");
			assert.match(detailOf(verdict, "file form"), why);
			assert.equal(renderVerdict(verdict).exitCode, 2);
		}
	});

	it("never makes the verifier throw", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => assert.notEqual(verify(bytes).status, "verified")),
		);
		fc.assert(
			fc.property(
				fc.jsonValue({ noUnicodeString: false }),
				fc.constantFrom("publicKey", "envelope", "journal"),
				(value, member) => {
					const text = JSON.stringify({ ...file, [member]: value });
					assert.notEqual(verify(utf8(text)).status, "verified");
				},
			),
		);
		assert.equal(
			verify(utf8(`${canonicalJson({ ...file, publicKey: "@" }).replace("@", "\\ud800")}\n`)).status,
			"unreadable",
		);
	});
});

describe("the file around the statement", () => {
	const [signature] = file.envelope.signatures;
	const swap = (change: Partial<ReceiptFile>): Uint8Array => receiptFileBytes({ ...file, ...change });
	const sign = (change: Partial<typeof signature>): Uint8Array =>
		swap({
			envelope: { ...file.envelope, signatures: [{ ...signature, ...change }] as typeof file.envelope.signatures },
		});
	const place = (change: Partial<Inclusion>): Uint8Array => swap({ journal: { ...file.journal, ...change } });
	const { checkpoint, path } = file.journal;
	const text = Buffer.from(receipt).toString();
	const nextLetter = (last: string): string => `${String.fromCharCode(last.charCodeAt(0) + 1)}==`;
	const { publicKey, ...rest } = file;
	const cases: readonly (readonly [string, Uint8Array, readonly string[]])[] = [
		["members in another order", utf8(`${JSON.stringify({ publicKey, ...rest })}\n`), ["file form"]],
		["white space", utf8(`${JSON.stringify(file, null, 1)}\n`), ["file form"]],
		["a number spelt otherwise", utf8(text.replace('"leafIndex":3', '"leafIndex":3.0')), ["file form"]],
		["a foreign public key", swap({ publicKey: toBase64(stranger.publicKey.raw) }), ["signer"]],
		["a foreign key id", sign({ keyid: stranger.keyId }), ["signer", "signature", "journal"]],
		[
			"spare base64 bits set",
			sign({ sig: signature?.sig.replace(/.==$/, nextLetter) ?? "" }),
			["signature", "journal"],
		],
		[
			"a second signature line",
			place({ checkpoint: checkpoint + checkpoint.slice(checkpoint.indexOf("—")) }),
			["journal"],
		],
		["another leaf index", place({ leafIndex: 2 }), ["journal"]],
		["an index past the tree", place({ leafIndex: 5 }), ["journal"]],
		["a path in another order", place({ path: [...path].reverse() }), ["journal"]],
		["a path node too many", place({ path: [...path, toBase64(EMPTY_ROOT)] }), ["journal"]],
		["a path node that is no hash", place({ path: ["AAAA", ...path.slice(1)] }), ["journal"]],
	];
	for (const [name, bytes, claims] of cases) {
		it(`is rejected with ${name}`, () => {
			const verdict = verify(bytes);
			assert.equal(verdict.status, "rejected");
			assert.deepEqual(broken(verdict), claims);
			assert.equal(renderVerdict(verdict).exitCode, 1);
		});
	}

	it("is rejected with the journal part of another receipt of the same node", () => {
		const other = sampleSealed(signer, (parts) => ({ ...parts, result: { ...parts.result, exitCode: 1 } }));
		const journal = sampleInclusion(other, signer);
		assert.deepEqual(broken(verify(swap({ journal }))), ["journal"]);
		assert.equal(verify(other.withInclusion(journal)).status, "verified");
	});

	it("is rejected with the envelope of another receipt", () => {
		const other = sampleSealed(signer, (parts) => ({ ...parts, approvals: [...parts.approvals, ...parts.approvals] }));
		assert.deepEqual(broken(verify(swap({ envelope: other.envelope }))), ["journal"]);
	});
});

describe("a receipt of a foreign key", () => {
	it("is rejected though everything in it fits, and says whose it is", () => {
		const foreign = sampleReceipt(stranger);
		assert.equal(verifyReceipt(foreign, { trustedKeys: [stranger.publicKey] }).status, "verified");
		const verdict = verify(foreign);
		assert.deepEqual(broken(verdict), ["signer", "signature", "journal"]);
		assert.match(detailOf(verdict, "signer"), new RegExp(stranger.keyId));
	});

	it("is rejected when nothing is trusted", () => {
		assert.deepEqual(broken(verifyReceipt(receipt, { trustedKeys: [] })), ["signer", "signature", "journal"]);
	});
});
