import { digestOfJson, type Json } from "../core/index.ts";
import type { Workload } from "../runtime/schema.ts";
import { type CommandProfile, commandLabels } from "./command-shapes.ts";
import { readCommand } from "./command-text.ts";
import { judge } from "./judge.ts";
import type { Policy } from "./policy.ts";
import { deny, type Finding, needsApproval, type Reason, reason } from "./reasons.ts";
import type { Decision } from "./schema.ts";

/**
 * Whether this workload may run. Pure. Every policy is asked and the strictest answer wins, so a further policy never
 * allows more and their order does not matter; the built-in rules are asked always. All findings are given as reasons.
 */
export function decide(workload: Workload, policies: readonly Policy[]): Decision {
	const findings = [...judgeBuiltIn(workload), ...policies.flatMap((policy) => judge(workload, policy))];
	const denials = findings.filter(({ verdict }) => verdict === "deny");
	const verdict = denials.length > 0 ? "deny" : findings.length > 0 ? "needs-approval" : "allow";
	const approvals = findings.filter((finding) => finding.verdict === "needs-approval");
	const reasons =
		findings.length > 0 ? [...denials, ...approvals].map((finding) => finding.reason) : grounds(workload, policies);
	return {
		schema: "vouch.decision/v1",
		verdict,
		workloadDigest: digestOfJson(workload as Json),
		policies: policies.map(({ source, digest }) => ({ source, digest })),
		reasons: distinct(reasons),
	};
}

/** Rules that hold with and without policies: command shapes where no sandbox holds the command (conduits section 6.8). */
function judgeBuiltIn(workload: Workload): Finding[] {
	const { verdict, labels } = commandLabels(readCommand(workload.argv).inspected, profileOf(workload));
	return labels.map((label) =>
		verdict === "forbidden" ? deny("command-forbidden", { label }) : needsApproval("command-doubtful", { label }),
	);
}

/** A sandbox is trusted to hold anything; the machine itself is not. */
export function profileOf({ isolation }: Workload): CommandProfile {
	return isolation === "host" || isolation === "darwin-automation" ? isolation : "untrusted";
}

/** What an allowed run is allowed by. */
function grounds({ isolation, network }: Workload, policies: readonly Policy[]): Reason[] {
	const grounds = policies.map(({ source }) => reason("policy-allows", { source }));
	if (isolation === "host") grounds.push(reason("host-accepted"));
	else if (policies.length === 0) grounds.push(reason("built-in-policy"));
	if (network.mode !== "none") grounds.push(reason("network-asked", { mode: network.mode }));
	return grounds;
}

function distinct(reasons: readonly Reason[]): Reason[] {
	return [...new Map(reasons.map((item) => [`${item.code} ${item.sentence}`, item])).values()];
}
