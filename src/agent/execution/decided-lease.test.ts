import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import test from "node:test";
import fc from "fast-check";
import type { Lease } from "../../api/conduits/schema.ts";
import { workloadOf } from "../../api/index.ts";
import { canonicalJson, digestOfJson, type Json } from "../../core/index.ts";
import { type Signer, signEnvelope, signerOf } from "../../evidence/index.ts";
import { DECISION_PAYLOAD_TYPE, type SignedDecision } from "../../governance/schema.ts";
import type { Workload } from "../../runtime/schema.ts";
import { decideOn } from "./decided-lease.ts";

const signer = signerOf(generateKeyPairSync("ed25519").privateKey);
const other = signerOf(generateKeyPairSync("ed25519").privateKey);

const workload: Workload = workloadOf({
	facility_id: "f-1",
	sandbox_profile: "untrusted",
	command: "make test",
	timeout_seconds: 300,
	limits: {},
	effective: {},
});

function signedBy(by: Signer, changed: Partial<SignedDecision> = {}, decided = workload): unknown {
	const decision: SignedDecision["decision"] = {
		schema: "vouch.decision/v1",
		verdict: "allow",
		workloadDigest: digestOfJson(decided),
		policies: [],
		reasons: [{ code: "policy-allows", sentence: "None objects." }],
	};
	const body = { decision, approvals: [], ...changed };
	return signEnvelope(DECISION_PAYLOAD_TYPE, Buffer.from(canonicalJson(body as unknown as Json)), by);
}

function lease(changed: Partial<Lease> = {}): Lease {
	return {
		directive_id: "d-1",
		directive_token: "token",
		spec: {
			directive_id: "d-1",
			facility: { id: "f-1" },
			sandbox_profile: "untrusted",
			command: "make test",
			timeout_seconds: 300,
		},
		workload,
		decision: signedBy(signer),
		...changed,
	};
}

const refusalOf = (given: Lease): string => {
	const decided = decideOn(given, [signer.publicKey]);
	return decided.kind === "refused" ? decided.reason : "not refused";
};

test("a signed decision that names the workload allows exactly that workload", () => {
	const decided = decideOn(lease(), [other.publicKey, signer.publicKey]);
	assert.equal(decided.kind, "decided");
	assert.deepEqual(decided.kind === "decided" && decided.workload, workload);
});

test("without a decision, or with another's, it is refused", () => {
	assert.match(refusalOf(lease({ decision: undefined })), /no decision/);
	assert.match(refusalOf(lease({ decision: signedBy(other) })), /no decision that the control plane/);
	assert.match(refusalOf(lease({ workload: undefined })), /no workload/);
	assert.match(refusalOf(lease({ decision: "yes" })), /no decision/);
});

test("a workload that is not the decided one is refused, whatever was changed in it", () => {
	const changes: Partial<Workload>[] = [
		{ argv: ["/bin/sh", "-c", "rm -rf /"] },
		{ network: { mode: "unrestricted", allow: [], deny: [], http: [] } },
		{ isolation: "host" },
		{ secretFiles: ["key"] },
		{ limits: { ...workload.limits, timeoutMs: null } },
	];
	for (const change of changes)
		assert.match(refusalOf(lease({ workload: { ...workload, ...change } })), /another workload/);
});

test("a denial, a missing approval and an approval of something else are refused", () => {
	const decision = JSON.parse(
		Buffer.from((signedBy(signer) as { payload: string }).payload, "base64").toString(),
	).decision;
	const approval = {
		schema: "vouch.approval/v1",
		workloadDigest: digestOfJson(workload),
		verdict: "approved",
		approver: "ann",
		method: "api",
		time: "2026-01-01T00:00:00.000Z",
	} as const;
	const with_ = (verdict: "deny" | "needs-approval", approvals: SignedDecision["approvals"]) =>
		lease({ decision: signedBy(signer, { decision: { ...decision, verdict }, approvals }) });
	assert.match(refusalOf(with_("deny", [])), /denies/);
	assert.match(refusalOf(with_("needs-approval", [])), /needs an approval/);
	assert.equal(refusalOf(with_("needs-approval", [approval])), "not refused");
	assert.match(refusalOf(with_("needs-approval", [{ ...approval, workloadDigest: digestOfJson("x") }])), /approval/);
	assert.match(refusalOf(with_("needs-approval", [{ ...approval, verdict: "rejected" }])), /approval/);
});

test("a specification that asks for something else than the decision allows is refused", () => {
	const { spec } = lease();
	assert.match(refusalOf(lease({ spec: { ...spec, command: "make clean" } })), /another command/);
	assert.match(refusalOf(lease({ spec: { ...spec, facility: { id: "f-2" } } })), /another facility/);
	const odd = { ...workload, environment: ["LD_PRELOAD"] };
	assert.match(refusalOf(lease({ workload: odd, decision: signedBy(signer, {}, odd) })), /LD_PRELOAD/);
});

test("no byte of the envelope can be changed", () => {
	const { payload } = signedBy(signer) as { payload: string };
	fc.assert(
		fc.property(fc.nat(payload.length - 1), fc.integer({ min: 33, max: 126 }), (at, code) => {
			const changed = payload.slice(0, at) + String.fromCharCode(code) + payload.slice(at + 1);
			fc.pre(changed !== payload);
			const decision = { ...(signedBy(signer) as object), payload: changed };
			assert.notEqual(refusalOf(lease({ decision })), "not refused");
		}),
		{ numRuns: 200 },
	);
});

test("an existing control plane signs nothing: its word is taken where no key is known, and said to be", () => {
	const bare = lease({ workload: undefined, decision: undefined });
	const decided = decideOn(bare, []);
	assert.equal(decided.kind, "decided");
	if (decided.kind !== "decided") return;
	assert.deepEqual(decided.workload, workload);
	assert.equal(decided.judged.decision.reasons[0]?.code, "leased");
	const nobody = decideOn({ ...bare, spec: { ...bare.spec, sandbox_profile: "" } }, []);
	assert.equal(nobody.kind === "decided" && nobody.workload.isolation, null);
});
