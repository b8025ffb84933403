import { canonicalJson, digestOfJson, type Json } from "../../core/index.ts";
import { type Signer, signEnvelope } from "../../evidence/index.ts";
import { type Approval, DECISION_PAYLOAD_TYPE, type Decision } from "../../governance/schema.ts";
import type { Workload } from "../../runtime/schema.ts";
import type { Resolution } from "../policies/resolve.ts";

/** The decision that allows a workload, signed by the control plane. Whoever runs it checks that it names what they run. */
export function signDecision(
	body: { readonly decision: Decision; readonly approvals: readonly Approval[] },
	signer: Signer,
): Json {
	const bytes = Buffer.from(canonicalJson(body as unknown as Json));
	return signEnvelope(DECISION_PAYLOAD_TYPE, bytes, signer) as unknown as Json;
}

export function decisionOf(workload: Workload, resolution: Resolution): Decision {
	const applied = resolution.snapshot.policies_applied as readonly string[];
	const { verdict } = resolution;
	const reasons = resolution.reasons.map((sentence) => ({ code: "policy", sentence }));
	const grounds = { code: "policy-allows", sentence: `${applied.length} policies apply and none objects.` };
	return {
		schema: "vouch.decision/v1",
		verdict: verdict === "skip" ? "allow" : verdict === "forbidden" ? "deny" : "needs-approval",
		workloadDigest: digestOfJson(workload as unknown as Json),
		policies: applied.map((id) => ({
			source: `policy:${id}`,
			digest: digestOfJson({ id, snapshot: resolution.snapshot }),
		})),
		reasons: reasons.length > 0 ? reasons : [grounds],
	};
}
