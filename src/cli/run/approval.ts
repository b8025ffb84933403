import { userInfo } from "node:os";
import type { Clock } from "../../core/index.ts";
import type { Approval, Decision } from "../../governance/schema.ts";
import type { Workload } from "../../runtime/schema.ts";
import { fail } from "../failures.ts";
import { paint, printable, table } from "../screen.ts";

/**
 * The approvals a decision needs, asked for at the terminal: the person sees the workload and its digest, and types yes.
 * Throws when the decision denies, when there is no terminal, and when the person says anything but yes.
 */
export async function approvalsFor(decision: Decision, workload: Workload, clock: Clock): Promise<readonly Approval[]> {
	const reasons = decision.reasons.map((reason) => reason.sentence).join(" ");
	if (decision.verdict === "allow") return [];
	if (decision.verdict === "deny") throw fail("cli.denied", { reasons });
	if (!process.stdin.isTTY || !process.stderr.isTTY) throw fail("cli.approval-needed", { reasons });
	showWorkload(decision, workload);
	const { confirm, isCancel } = await import("@clack/prompts");
	const answer = await confirm({ message: "Run exactly this?", initialValue: false, output: process.stderr });
	const approver = userInfo().username;
	if (isCancel(answer) || !answer) throw fail("cli.approval-rejected", { approver, workload: decision.workloadDigest });
	return [
		{
			schema: "vouch.approval/v1",
			workloadDigest: decision.workloadDigest,
			verdict: "approved",
			approver,
			method: "terminal",
			time: new Date(clock.nowMs()).toISOString(),
		},
	];
}

/** Everything that the digest covers and a person can judge, in words, nothing cut: what isn't seen isn't approved (conduits section 10: command, folders, network, secrets). */
function showWorkload(decision: Decision, workload: Workload): void {
	const { network, workspace } = workload;
	const rows = [
		["command", printable(workload.argv.map(shellWord).join(" "))],
		["in", printable(workload.workingDirectory)],
		["workspace", workspace === null ? "none" : `${printable(workspace.source)} (${workspace.access})`],
		["also sees", printable(workload.exposed.join(", ")) || "nothing"],
		["keeps", printable((workload.artifacts ?? []).join(", ")) || "nothing"],
		["root", workload.root.kind === "host" ? "this machine's system folders" : printable(workload.root.reference)],
		["network", network.mode === "allowlist" ? `only ${printable(network.allow.join(", "))}` : network.mode],
		["but never", printable(network.deny.join(", ")) || "-"],
		["variables", workload.environment.join(", ") || "none"],
		["secrets", workload.secrets.join(", ") || "none"],
		["limits", limitsOf(workload) || "none"],
		["isolation", workload.isolation ?? "strongest"],
		["digest", decision.workloadDigest],
	];
	const reasons = decision.reasons.map((reason) => `  - ${printable(reason.sentence)}`).join("\n");
	process.stderr.write(
		`${paint("yellow", "This run needs approval:")}\n${reasons}\n\n${table(rows, Number.POSITIVE_INFINITY)}\n\n`,
	);
}

function limitsOf({ limits }: Workload): string {
	const set = Object.entries(limits).filter(([, value]) => value !== null);
	return set.map(([name, value]) => `${name} ${value}`).join(", ");
}

export function shellWord(word: string): string {
	return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/'/g, "'\\''")}'`;
}
