import { writeFileSync } from "node:fs";
import { hostname, release } from "node:os";
import { type Digest, digestOf } from "../../core/index.ts";
import {
	artifactSubject,
	type ReceiptParts,
	type ReceiptPredicate,
	type ReceiptSubject,
	type RunResult,
} from "../../evidence/schema.ts";
import type { Approval, Decision } from "../../governance/schema.ts";
import type { LaunchPlan } from "../driver.ts";
import type { Observed } from "./observe.ts";
import type { Finished } from "./parts.ts";
import type { RunFiles } from "./records.ts";

/** What the run produced. A diff is kept beside the output. */
export function subjectsOf({ observed, diff, artifacts }: Finished, files: RunFiles): readonly ReceiptSubject[] {
	const subjects = [
		{ name: "stdout", digest: observed.stdout.digest },
		{ name: "stderr", digest: observed.stderr.digest },
		...(artifacts?.files ?? []).map(({ name, digest }) => ({ name: artifactSubject(name), digest })),
	];
	if (diff === null) return subjects;
	writeFileSync(files.diff, diff, { mode: 0o600, flag: "wx" });
	return [...subjects, { name: "workspace.diff", digest: digestOf(diff) }];
}

/** Why it was allowed to run. */
export interface Judged {
	readonly decision: Decision;
	readonly approvals: readonly Approval[];
}

/** What a receipt says of a run, but for what follows from it. @param keyId of the key that will sign */
export function receiptPartsOf(finished: Finished, judged: Judged, keyId: Digest): ReceiptParts {
	const { run, observed, ledger, before, changes, artifacts } = finished;
	const { workload, plan } = run;
	const launchPlan = JSON.parse(JSON.stringify(plan)) as ReceiptPredicate["launchPlan"];
	return {
		runId: run.runId,
		workload,
		launchPlan,
		image: workload.root.kind === "image" ? { digest: workload.root.digest, verityRoot: verityRootOf(plan) } : null,
		inputs: { workspaceBefore: before?.digest ?? null, stdin: stdinOf(observed, workload.secretInput) },
		decision: judged.decision,
		approvals: [...judged.approvals],
		ledger: ledger.summary,
		ledgerEntries: ledger.entries,
		result: resultOf(observed, ledger, artifacts?.notes ?? []),
		workspaceAfter: changes.after,
		changes: { paths: changes.paths, omitted: changes.omitted },
		...(artifacts === null ? {} : { artifacts: [...artifacts.files] }),
		node: { name: hostname(), keyId, programs: finished.programs, kernel: release() },
		evidence: [],
	};
}

/** A secret that was the input leaves no digest: a short one could be guessed from it. */
function stdinOf({ stdin }: Observed, secretInput: string | undefined): Observed["stdin"] {
	return secretInput === undefined ? stdin : null;
}

/** What the machine did wrong comes first. */
function notesOf(ending: Observed["ending"], more: readonly string[]): Pick<RunResult, "notes"> {
	const failure = ending.cause === "guest-failed" && ending.message !== null ? [ending.message] : [];
	const notes = [...failure, ...(ending.notes ?? []), ...more].slice(0, 1000).map((note) => note.slice(0, 1000));
	return notes.length === 0 ? {} : { notes };
}

/** Of drivers that verify the root at every read. */
function verityRootOf(plan: LaunchPlan): string | null {
	const { image } = plan as { readonly image?: { readonly verityRoot?: string } };
	return plan.guarantees.kept.includes("verified-root") ? (image?.verityRoot ?? null) : null;
}

/** The first cause that holds names the ending: a run that sent unexplained bytes has failed whatever its exit code. */
function resultOf(observed: Observed, ledger: Finished["ledger"], notes: readonly string[]): RunResult {
	const { ending, stdout, stderr } = observed;
	return {
		exitCode: ending.exitCode,
		signal: ending.signal,
		reason: reasonOf(observed, ledger),
		startedAt: new Date(observed.startedAtMs).toISOString(),
		finishedAt: new Date(observed.startedAtMs + Math.round(observed.durationMs)).toISOString(),
		durationMs: Math.round(observed.durationMs * 1000) / 1000,
		stdoutBytes: stdout.bytes,
		stderrBytes: stderr.bytes,
		outputTruncated: stdout.truncated || stderr.truncated,
		...notesOf(ending, notes),
	};
}

function reasonOf({ ending, stopped }: Observed, ledger: Finished["ledger"]): RunResult["reason"] {
	if (ledger.summary.reconciliation.verdict === "unaccounted-egress") return "unaccounted-egress";
	if (ending.cause === "guest-failed") return ending.reason ?? "guest-lost";
	if (stopped !== null) return stopped;
	if (ending.cause === "disk-write-limit" || ending.cause === "out-of-memory") return ending.cause;
	return ending.signal === null ? "exited" : "signaled";
}
