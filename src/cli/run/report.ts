import { formatBytes, formatDurationMs } from "../../core/index.ts";
import type { LedgerEntry } from "../../egress/schema.ts";
import type { ReceiptPredicate, TreeChange } from "../../evidence/schema.ts";
import type { PlannedRun } from "../../runtime/index.ts";
import { paint, printable, table } from "../screen.ts";
import type { RunOutcome } from "./outcome.ts";

/** Rows shown of each list; the receipt holds all of them. */
const MAX_ROWS = 12;
/** Wide enough for the reason of a refusal, which says which flag would allow it. */
const LONGEST_LINE = 240;

/** Enough of an id to find the run by: UUIDv7 begins with the millisecond. */
const SHORT_ID = 13;

/** The two lines before a run: which isolation, and what it does not protect against. */
export function announce({ driver, plan }: PlannedRun): void {
	const { performance } = plan;
	process.stderr.write(`${paint("bold", "vouch:")} ${driver.name}: ${driver.summary}\n`);
	process.stderr.write(`${paint("bold", "vouch:")} it does not protect against ${driver.doesNotProtectAgainst}\n`);
	if (performance?.acceleration === "emulated") {
		const slow = `the machine is emulated, 6 to 20 times slower than this one: ${printable(performance.reason)}`;
		process.stderr.write(`${paint("bold", "vouch:")} ${slow}\n`);
	}
}

/** The short table after a run: what it tried to reach, what it changed, where the receipt is. */
export function showReport({ predicate, files, hasDiff }: RunOutcome): void {
	const parts = [
		`\n${paint("bold", "vouch:")} ${endingOf(predicate)}`,
		networkPart(predicate),
		changesPart(predicate, hasDiff ? "vouch show last --diff" : null),
		...artifactsPart(predicate, predicate.runId.slice(0, SHORT_ID)),
		...notesPart(predicate),
		`${paint("bold", "receipt")}  ${files.receipt}\n         check it: vouch verify ${predicate.runId.slice(0, SHORT_ID)}`,
	];
	process.stderr.write(`${parts.join("\n")}\n`);
}

/** The same for scripts. */
export function reportOf({ predicate, files, hasDiff }: RunOutcome): object {
	return {
		runId: predicate.runId,
		driver: predicate.launchPlan.driver,
		guarantees: predicate.guarantees,
		result: predicate.result,
		network: { ...predicate.ledger, attempts: predicate.ledgerEntries },
		changes: predicate.changes,
		artifacts: predicate.artifacts ?? [],
		receipt: files.receipt,
		stdout: files.stdout,
		stderr: files.stderr,
		diff: hasDiff ? files.diff : null,
	};
}

const ENDINGS: Readonly<Record<ReceiptPredicate["result"]["reason"], (result: ReceiptPredicate["result"]) => string>> =
	{
		exited: ({ exitCode }) => `exited with ${exitCode}`,
		signaled: ({ signal }) => `ended by ${signal}`,
		timeout: () => "ended: it ran out of time (--timeout)",
		"output-limit": () => "killed: it printed more than --output allows",
		"disk-write-limit": () => "killed: it wrote more to disk than --disk-write allows",
		"out-of-memory": () => "killed: it used more memory than --memory allows",
		cancelled: () => "cancelled",
		"unaccounted-egress": () => "FAILED: bytes left the sandbox that the ledger does not explain",
		"failed-to-start": () => "did not start",
		verity: () => "FAILED: the image on disk is not what was built (a block does not verify)",
		"boot-timeout": () => "FAILED: the machine did not come up in time",
		"guest-stalled": () => "FAILED: the machine fell silent",
		"guest-protocol": () => "FAILED: the machine's guest broke its protocol",
		"guest-lost": () => "FAILED: the machine ended before its command",
	};

export function endingOf({ result }: ReceiptPredicate): string {
	return `${ENDINGS[result.reason](result)} after ${formatDurationMs(result.durationMs)}`;
}

export function networkPart({ ledger, ledgerEntries }: ReceiptPredicate): string {
	if (ledger.entries === 0) return `${paint("bold", "network")}  it tried to reach nothing`;
	return attemptsPart(paint("bold", "network"), { ledger, ledgerEntries });
}

/** The clone that filled its workspace, and what that reached. */
export function preparationPart({ preparation }: ReceiptPredicate): readonly string[] {
	if (preparation === undefined) return [];
	const { repository, commit } = preparation;
	const title = `${paint("bold", "prepared")} cloned ${printable(repository)} at ${commit ?? "no commit"}:`;
	return [attemptsPart(title, preparation)];
}

function attemptsPart(
	title: string,
	{ ledger, ledgerEntries }: Pick<ReceiptPredicate, "ledger" | "ledgerEntries">,
): string {
	const rows = ledgerEntries.slice(0, MAX_ROWS).map(attemptRow);
	const rest = ledger.entries + ledger.overflow - rows.length;
	const counts = `${ledger.allowed} allowed, ${ledger.refused} refused; ${formatBytes(ledger.bytesUp)} out, ${formatBytes(ledger.bytesDown)} in; the kernel's count ${agreement(ledger.reconciliation.verdict)}`;
	const more = rest > 0 ? `\n  … and ${rest} more in the receipt` : "";
	return `${title}  ${counts}\n${table(rows, LONGEST_LINE)}${more}`;
}

function agreement(verdict: ReceiptPredicate["ledger"]["reconciliation"]["verdict"]): string {
	return { agrees: "agrees", "unaccounted-egress": "DOES NOT AGREE", "not-measured": "was not measured" }[verdict];
}

function attemptRow(entry: LedgerEntry): string[] {
	const allowed = entry.verdict === "allowed";
	const port = entry.port === 0 ? "" : `:${entry.port}`;
	const host = entry.host.includes(":") ? `[${entry.host}]` : entry.host;
	const times = entry.attempts > 1 ? ` ×${entry.attempts}` : "";
	return [
		allowed ? paint("green", "  allowed") : paint("red", "  refused"),
		`${printable(host)}${port}${times}`,
		entry.process === null ? entry.method : `${entry.method} by ${printable(entry.process.name)}`,
		allowed ? `${formatBytes(entry.bytesUp)} out, ${formatBytes(entry.bytesDown)} in` : entry.reason,
		allowed ? `by rule ${printable(entry.rule ?? "(unrestricted)")}` : printable(entry.detail),
	];
}

const MARKS: Readonly<Record<TreeChange["change"], string>> = {
	added: "+",
	removed: "-",
	modified: "~",
	mode: "m",
	type: "t",
};

/** `diff` is the command that prints it, where there is one. */
export function changesPart({ changes, workload }: ReceiptPredicate, diff: string | null): string {
	const title = paint("bold", "changed");
	if (workload.workspace === null) return `${title}  it had no workspace`;
	if (changes.paths.length === 0) return `${title}  nothing in the workspace`;
	const rows = changes.paths
		.slice(0, MAX_ROWS)
		.map((change) => `  ${MARKS[change.change]} ${printable(change.path)}${flagsOf(change)}`);
	const rest = changes.paths.length + changes.omitted - rows.length;
	const more = rest > 0 ? [`  … and ${rest} more in the receipt`] : [];
	const hint = diff === null ? "" : `; the diff: ${diff}`;
	return [`${title}  ${changes.paths.length + changes.omitted} in the workspace${hint}`, ...rows, ...more].join("\n");
}

export function notesPart({ result }: ReceiptPredicate): readonly string[] {
	return (result.notes ?? []).slice(0, MAX_ROWS).map((note) => `${paint("yellow", "note")}     ${printable(note)}`);
}

/** @param id of the run or the directive, as people write it */
export function artifactsPart({ artifacts }: ReceiptPredicate, id: string): readonly string[] {
	if (artifacts === undefined) return [];
	const bytes = artifacts.reduce((sum, file) => sum + file.bytes, 0);
	const hint = artifacts.length === 0 ? "" : `, ${formatBytes(bytes)}; get them: vouch artifacts ${id} --to DIR`;
	const count = `${artifacts.length} ${artifacts.length === 1 ? "artifact" : "artifacts"}`;
	return [`${paint("bold", "kept")}     ${count}${hint}`];
}

function flagsOf(change: TreeChange): string {
	return change.flags.length === 0 ? "" : paint("yellow", `  (${change.flags.join(", ")})`);
}
