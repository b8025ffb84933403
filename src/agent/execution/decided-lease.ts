import { z } from "zod";
import type { DirectiveSpec, Lease } from "../../api/conduits/schema.ts";
import { DIRECTIVE_VARIABLES, facilitySource, workloadOf } from "../../api/index.ts";
import { digestOfJson, type Json } from "../../core/index.ts";
import { openEnvelope, type PublicKey } from "../../evidence/index.ts";
import { DECISION_PAYLOAD_TYPE, type SignedDecision, signedDecisionSchema } from "../../governance/schema.ts";
import type { Judged } from "../../runtime/index.ts";
import type { Workload } from "../../runtime/schema.ts";

/** What a lease allows: exactly this workload, for these reasons. Or why it allows nothing. */
export type DecidedLease =
	| { readonly kind: "decided"; readonly workload: Workload; readonly judged: Judged }
	| { readonly kind: "refused"; readonly reason: string };

const envelopeSchema = z.object({
	payloadType: z.literal(DECISION_PAYLOAD_TYPE),
	payload: z.string(),
	signatures: z.array(z.object({ keyid: z.string(), sig: z.string() })),
});

/**
 * Reads a lease. With keys of the control plane that this node enrolled with, it counts only when a decision that one of them
 * signed names its workload. Without (an existing control plane, which signs none), its word is all there is.
 */
export function decideOn(lease: Lease, controlPlaneKeys: readonly PublicKey[]): DecidedLease {
	if (controlPlaneKeys.length === 0) return taken(workloadOfSpec(lease.spec));
	const { workload, spec } = lease;
	if (workload === undefined) return refused("the lease brings no workload");
	const signed = openDecision(lease.decision, controlPlaneKeys);
	if (signed === undefined)
		return refused("the lease brings no decision that the control plane of this node has signed");
	const problem = problemOf(signed, workload, spec);
	return problem === undefined ? { kind: "decided", workload, judged: signed } : refused(problem);
}

function refused(reason: string): DecidedLease {
	return { kind: "refused", reason };
}

function taken(workload: Workload): DecidedLease {
	const sentence = "The control plane leased it to this node; it signs no decisions.";
	const decision = {
		schema: "vouch.decision/v1",
		verdict: "allow",
		workloadDigest: digestOfJson(workload),
		policies: [],
		reasons: [{ code: "leased", sentence }],
	} as const;
	return {
		kind: "decided",
		workload,
		judged: { decision: { ...decision, policies: [], reasons: [...decision.reasons] }, approvals: [] },
	};
}

function openDecision(envelope: unknown, keys: readonly PublicKey[]): SignedDecision | undefined {
	const read = envelopeSchema.safeParse(envelope);
	if (!read.success) return undefined;
	for (const key of keys) {
		const payload = openEnvelope(read.data, key);
		if (payload !== undefined) return parsedDecision(payload);
	}
	return undefined;
}

function parsedDecision(payload: Uint8Array): SignedDecision | undefined {
	try {
		return signedDecisionSchema.safeParse(JSON.parse(Buffer.from(payload).toString("utf8"))).data;
	} catch {
		return undefined;
	}
}

function problemOf(
	{ decision, approvals }: SignedDecision,
	workload: Workload,
	spec: DirectiveSpec,
): string | undefined {
	const digest = digestOfJson(workload);
	if (decision.workloadDigest !== digest) return "the decision is about another workload";
	if (decision.verdict === "deny") return "the decision denies it";
	if (decision.verdict === "needs-approval" && approvals.length === 0) return "it needs an approval and there is none";
	const isForIt = approvals.every((approval) => approval.workloadDigest === digest && approval.verdict === "approved");
	if (!isForIt) return "an approval is for another workload, or is none";
	if (workload.workspace !== null && workload.workspace.source !== facilitySource(spec.facility.id))
		return "the workload is of another facility";
	const unknown = workload.environment.find((name) => !(DIRECTIVE_VARIABLES as readonly string[]).includes(name));
	if (unknown !== undefined) return `the workload names the variable ${unknown}, which this node does not know`;
	const [shell, option, command, ...rest] = workload.argv;
	const isAsked =
		shell === (spec.shell || "/bin/sh") && option === "-c" && command === spec.command && rest.length === 0;
	return isAsked ? undefined : "the decision allows another command than the lease asks for";
}

function workloadOfSpec(spec: DirectiveSpec): Workload {
	return workloadOf({
		facility_id: spec.facility.id,
		// Conduits section 5.1 has "empty means host": what nobody named gets no more than anybody else.
		sandbox_profile: spec.sandbox_profile || "untrusted",
		command: spec.command,
		shell: spec.shell,
		cwd: spec.cwd,
		timeout_seconds: spec.timeout_seconds ?? 0,
		limits: spec.limits ?? {},
		effective: { net: (spec.capabilities?.net ?? undefined) as Json | undefined },
	});
}
