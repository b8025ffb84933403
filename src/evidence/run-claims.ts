import { canonicalJson, digestOfJson, type Json, utf8 } from "../core/index.ts";
import type { LedgerEntry } from "../egress/schema.ts";
import { doesNotHold, type Finding, holds, holdsUnless, notClaimed, predicateClaim } from "./claim.ts";
import { merkleRoot } from "./merkle.ts";
import type { ReceiptPredicate, RunResult } from "./schema.ts";

/** Claims about the run: each is recomputed from the other parts of the signed statement. */

export const workload = predicateClaim("workload", (predicate) =>
	holdsUnless(
		[digestOfJson(predicate.workload) !== predicate.workloadDigest && "its digest is not that of the workload given"],
		predicate.workloadDigest,
	),
);

export const launchPlan = predicateClaim("launch plan", (predicate) => {
	const { launchPlan: plan, workload: asked } = predicate;
	const problems = [
		digestOfJson(plan as Json) !== predicate.launchPlanDigest && "its digest is not that of the launch plan given",
		plan.workloadDigest !== digestOfJson(asked) && "it was made for another workload",
		plan.runId !== predicate.runId && "it was made for another run",
		asked.isolation !== null &&
			asked.isolation !== plan.driver &&
			`${asked.isolation} was asked for and ${plan.driver} ran`,
	];
	return holdsUnless(problems, `driver ${plan.driver}, ${predicate.launchPlanDigest}`);
});

/** Allowed by policy, or by a person who said yes to this very digest before it ran. A denied run has no good receipt. */
export const decision = predicateClaim("decision", (predicate) => {
	const { decision: decided, approvals, result } = predicate;
	const digest = digestOfJson(predicate.workload);
	const problems = [
		decided.workloadDigest !== digest && "it decided on another workload",
		decided.verdict === "deny" && "it denied this workload",
		decided.verdict === "needs-approval" && approvals.length === 0 && "it needs an approval and there is none",
		approvals.some((approval) => approval.workloadDigest !== digest) && "an approval is for another workload",
		approvals.some((approval) => approval.verdict === "rejected") && "a person rejected it",
		approvals.some((approval) => timeMs(approval.time) > timeMs(result.startedAt)) &&
			"it was approved after it had started",
	];
	const approvers = approvals.map((approval) => approval.approver).join(", ");
	return holdsUnless(problems, approvals.length === 0 ? "allowed by policy" : `approved by ${approvers}`);
});

/** What a run, or the clone before it, tried to reach. */
type Reached = Pick<ReceiptPredicate, "ledger" | "ledgerEntries">;

export const ledger = predicateClaim("ledger", (predicate) =>
	holdsUnless(ledgerProblems(predicate), countsOf(predicate.ledger)),
);

function countsOf({ allowed, refused, bytesUp }: Reached["ledger"]): string {
	return `${allowed} allowed, ${refused} refused, ${bytesUp} bytes out`;
}

function ledgerProblems({ ledger: summary, ledgerEntries: entries }: Reached): readonly (string | false)[] {
	const sum = (count: (entry: LedgerEntry) => number): number =>
		entries.reduce((total, entry) => total + count(entry), 0);
	const counts = {
		entries: entries.length,
		allowed: sum((entry) => (entry.verdict === "allowed" ? entry.attempts : 0)),
		// Attempts past the ledger's limit were refused too, and are not listed.
		refused: sum((entry) => (entry.verdict === "refused" ? entry.attempts : 0)) + summary.overflow,
		bytesUp: sum((entry) => entry.bytesUp),
		bytesDown: sum((entry) => entry.bytesDown),
	};
	const names = Object.keys(counts) as (keyof typeof counts)[];
	return [
		merkleRoot(entries.map((entry) => utf8(canonicalJson(entry)))) !== summary.root &&
			"the entries do not give its root",
		entries.some((entry, index) => entry.sequence <= (entries[index - 1]?.sequence ?? -1)) &&
			"the entries are out of order",
		...names.map(
			(name) => counts[name] !== summary[name] && `${name} is ${summary[name]}, the entries give ${counts[name]}`,
		),
	];
}

/** Ethernet, IPv6 and a full TCP header: the most of a frame that is not payload. */
const MAX_HEADER_BYTES = 114;

export const kernelCounters = predicateClaim("kernel counters", ({ ledger: { reconciliation: counted }, result }) => {
	if (counted.verdict === "not-measured") return notClaimed("the sandbox's interface counters were not read");
	const isContrary = counted.verdict === "agrees" && result.reason === "unaccounted-egress";
	const problems = [...counterProblems(counted), isContrary && "the run ended for unaccounted egress"];
	return holdsUnless(problems, `${counted.interfaceTxBytes} bytes sent by the sandbox's interface, all explained`);
});

function counterProblems(counted: Reached["ledger"]["reconciliation"]): readonly (string | false)[] {
	if (counted.verdict === "not-measured") return [];
	if (counted.verdict === "unaccounted-egress") {
		const what =
			counted.unexplainedBytes > 0 ? `${counted.unexplainedBytes} bytes` : "frames that are neither IP nor ARP";
		return [`${what} left the sandbox and the ledger does not explain them`];
	}
	const payloadBytes = counted.interfaceTxBytes - MAX_HEADER_BYTES * counted.interfaceTxPackets;
	return [
		counted.unexplainedBytes > 0 && `${counted.unexplainedBytes} bytes are unexplained`,
		payloadBytes > counted.explainedBytes && "more payload was sent than is explained",
	];
}

export const preparation = predicateClaim("preparation", ({ preparation: made, workload: { workspace: folder } }) => {
	if (made === undefined) return notClaimed("nothing was fetched for the workspace");
	const problems = [
		folder === null && "it had no workspace",
		...ledgerProblems(made),
		...counterProblems(made.ledger.reconciliation),
	];
	const commit = made.commit === null ? "no commit" : `commit ${made.commit}`;
	return holdsUnless(problems, `cloned ${made.repository}: ${commit}; ${countsOf(made.ledger)}`);
});

/** What each way to end says of exit code and signal. A run that was stopped may still have exited by itself. */
const ENDINGS: Readonly<Record<RunResult["reason"], (result: RunResult) => boolean>> = {
	exited: ({ exitCode, signal }) => exitCode !== null && signal === null,
	signaled: ({ exitCode, signal }) => exitCode === null && signal !== null,
	timeout: endedOnce,
	"output-limit": endedOnce,
	"disk-write-limit": endedOnce,
	"out-of-memory": endedOnce,
	cancelled: endedOnce,
	"unaccounted-egress": endedOnce,
	"failed-to-start": hasNoEnd,
	verity: hasNoEnd,
	"boot-timeout": hasNoEnd,
	"guest-stalled": hasNoEnd,
	"guest-protocol": hasNoEnd,
	"guest-lost": hasNoEnd,
};

/** Of a machine that failed nothing is known of how its command would have ended. */
function hasNoEnd({ exitCode, signal }: RunResult): boolean {
	return exitCode === null && signal === null;
}

function endedOnce({ exitCode, signal }: RunResult): boolean {
	return exitCode === null || signal === null;
}

/** Wall clock and monotonic clock may part by a step of the wall clock, hardly by more. */
const CLOCK_TOLERANCE_MS = 2000;

export const result = predicateClaim("result", ({ result: ended, ledger: { reconciliation } }) => {
	const elapsedMs = timeMs(ended.finishedAt) - timeMs(ended.startedAt);
	const problems = [
		elapsedMs < 0 && "it finished before it started",
		Math.abs(elapsedMs - ended.durationMs) > CLOCK_TOLERANCE_MS && "its times and its duration do not agree",
		!ENDINGS[ended.reason](ended) &&
			`exit code ${ended.exitCode} and signal ${ended.signal} do not go with ${ended.reason}`,
		ended.reason === "unaccounted-egress" &&
			reconciliation.verdict !== "unaccounted-egress" &&
			"the kernel counters do not say so",
	];
	const how = ended.exitCode === null ? (ended.signal ?? "no exit code") : `exit code ${ended.exitCode}`;
	return holdsUnless(problems, `${ended.reason}, ${how}, ${ended.durationMs} ms`);
});

export const workspace = predicateClaim("workspace", (predicate) => {
	const { changes, inputs, workspaceAfter: after } = predicate;
	const before = inputs.workspaceBefore;
	const changed = changes.paths.length + changes.omitted;
	if (predicate.workload.workspace === null) {
		const isEmpty = before === null && after === null && changed === 0;
		return isEmpty ? notClaimed("it had none") : doesNotHold("it had none, yet something of one is recorded");
	}
	const problems = [
		(before === null || after === null) && "its digest before or after is missing",
		before !== after && changed === 0 && "its digest changed and no changed path is listed",
		before === after && changed > 0 && "changed paths are listed and its digest is the same",
	];
	return holdsUnless(problems, changed === 0 ? "unchanged" : `${changed} paths changed, now ${after}`);
});

export const guarantees = predicateClaim("guarantees", (predicate) => {
	const { guarantees: kept, launchPlan: plan, workload: asked } = predicate;
	const missing = asked.demands.filter((demand) => !kept.kept.includes(demand));
	const both = kept.notKept.filter(({ guarantee }) => kept.kept.includes(guarantee));
	const problems = [
		canonicalJson(kept) !== canonicalJson(plan.guarantees) && "they are not those of the launch plan",
		missing.length > 0 && `${missing.join(", ")} was demanded and is not kept`,
		both.length > 0 && `${both.map(({ guarantee }) => guarantee).join(", ")} is said to be kept and not kept`,
	];
	return holdsUnless(problems, `kept: ${kept.kept.join(", ") || "none"}`);
});

export const image = predicateClaim("image", ({ workload: { root }, image: ran }) => checkImage(root, ran));

function checkImage(root: ReceiptPredicate["workload"]["root"], ran: ReceiptPredicate["image"]): Finding {
	if (root.kind === "host") {
		return ran === null
			? notClaimed("it ran on the host's own system folders")
			: doesNotHold("an image is named that was not asked for");
	}
	if (ran === null) return doesNotHold("the workload has an image and none is recorded");
	return ran.digest === root.digest
		? holds(ran.digest)
		: doesNotHold(`${ran.digest} ran, the workload names ${root.digest}`);
}

export const attestation = predicateClaim("attestation", ({ evidence }) => {
	const formats = evidence.map(({ format }) => format).join(", ");
	return evidence.length === 0
		? notClaimed("no TPM quote and no confidential-VM report")
		: doesNotHold(`this version can't check evidence of format ${formats}`);
});

export const reExecution = predicateClaim("re-execution", () => notClaimed("nobody repeated the run independently"));

function timeMs(time: string): number {
	return Date.parse(time);
}
