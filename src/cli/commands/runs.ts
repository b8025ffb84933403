import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { formatDurationMs } from "../../core/index.ts";
import { verifyReceipt } from "../../evidence/index.ts";
import type { ReceiptPredicate } from "../../evidence/schema.ts";
import { isOwnerAlive, type RunFiles, type RunRecord } from "../../runtime/index.ts";
import type { Action } from "../command.ts";
import { fail } from "../failures.ts";
import { type StreamName, writeFrom, writeLine } from "../fleet/output.ts";
import { meansDirective } from "../fleet/run-or-directive.ts";
import { shellWord } from "../run/approval.ts";
import { findRun } from "../run/find-run.ts";
import { type Parts, realParts } from "../run/parts.ts";
import { artifactsPart, changesPart, endingOf, networkPart } from "../run/report.ts";
import { paint, printable, printJson, table } from "../screen.ts";

const DEFAULT_LIMIT = 20;

export const runsAction: Action = async ({ flags }) => {
	const parts = realParts();
	const { records, clock } = parts;
	const limit = Number(flags.text("--limit") ?? DEFAULT_LIMIT);
	if (!Number.isInteger(limit) || limit < 1)
		throw fail("cli.usage", { problem: "--limit takes a whole number above 0." });
	if (flags.has("--ids")) {
		process.stdout.write(
			records
				.list()
				.map((record) => `${record.runId}\n`)
				.join(""),
		);
		return 0;
	}
	const listed = await Promise.all(
		records
			.list()
			.slice(0, limit)
			.map(async (record) => ({ record, predicate: await predicateOf(records.files(record.runId), parts) })),
	);
	if (flags.has("--json")) {
		printJson(
			listed.map(({ record, predicate }) => ({
				...record,
				status: statusOf(record),
				result: predicate?.result ?? null,
			})),
		);
	} else if (listed.length === 0) {
		process.stdout.write("No runs yet. Start one: vouch run -- echo hello\n");
	} else {
		process.stdout.write(
			`${table([HEAD, ...listed.map(({ record, predicate }) => rowOf(record, predicate, clock.nowMs()))])}\n`,
		);
	}
	return 0;
};

const HEAD = ["RUN", "AGE", "DRIVER", "ENDING", "REFUSED", "CHANGED", "COMMAND"];

function rowOf(record: RunRecord, predicate: ReceiptPredicate | undefined, nowMs: number): string[] {
	return [
		record.runId,
		formatDurationMs(nowMs - Date.parse(record.startedAt)),
		record.driver ?? "-",
		predicate === undefined ? statusOf(record) : shortEnding(predicate),
		predicate === undefined ? "-" : String(predicate.ledger.refused),
		predicate === undefined ? "-" : String(predicate.changes.paths.length + predicate.changes.omitted),
		printable(record.argv.map(shellWord).join(" ")),
	];
}

function shortEnding({ result }: ReceiptPredicate): string {
	return result.reason === "exited"
		? `exit ${result.exitCode}`
		: result.reason === "signaled"
			? String(result.signal)
			: result.reason;
}

function statusOf(record: RunRecord): string {
	return record.status === "live" && !isOwnerAlive(record) ? "interrupted" : record.status;
}

/** What the run's receipt says, if it verifies: nothing is shown of one that was touched. */
export async function predicateOf(
	files: Pick<RunFiles, "receipt">,
	{ keys }: Pick<Parts, "keys">,
): Promise<ReceiptPredicate | undefined> {
	if (!existsSync(files.receipt)) return undefined;
	const verdict = verifyReceipt(readFileSync(files.receipt), { trustedKeys: (await keys()).trusted() });
	return verdict.status === "verified" ? verdict.receipt.predicate : undefined;
}

export const showAction: Action = async (invocation) => {
	const { operands, flags } = invocation;
	if (await meansDirective(operands[0] ?? "", flags))
		return (await import("./directives.ts")).showDirective(invocation);
	const parts = realParts();
	const record = findRun(parts.records, operands[0] ?? "");
	const files = parts.records.files(record.runId);
	if (flags.has("--diff")) return print(files.diff, process.stdout, record);
	const predicate = await predicateOf(files, parts);
	if (flags.has("--json")) printJson(predicate ?? record);
	else process.stdout.write(`${describe(record, predicate, files)}\n`);
	return 0;
};

function describe(record: RunRecord, predicate: ReceiptPredicate | undefined, files: RunFiles): string {
	const head: string[][] = [
		["run", record.runId],
		["command", printable(record.argv.map(shellWord).join(" "))],
		["started", record.startedAt],
		["isolation", record.driver ?? "-"],
	];
	if (predicate === undefined) return table([...head, ["ending", statusOf(record)]]);
	const { guarantees, decision } = predicate;
	const facts = [
		["ending", endingOf(predicate)],
		["kept", guarantees.kept.join(", ") || "nothing"],
		["not kept", guarantees.notKept.map(({ guarantee }) => guarantee).join(", ") || "-"],
		["decision", `${decision.verdict}: ${decision.reasons.map((reason) => reason.sentence).join(" ")}`],
		["workload", predicate.workloadDigest],
		["workspace", `${predicate.inputs.workspaceBefore ?? "none"} before`],
		["", `${predicate.workspaceAfter ?? "none"} after`],
	];
	const receipt = `${paint("bold", "receipt", process.stdout)}  ${files.receipt}`;
	return [
		table([...head, ...facts]),
		networkPart(predicate),
		changesPart(predicate, existsSync(files.diff) ? `vouch diff ${record.runId}` : null),
		...artifactsPart(predicate, record.runId),
		receipt,
	].join("\n");
}

export const logsAction: Action = async (invocation) => {
	const { operands, flags } = invocation;
	if (await meansDirective(operands[0] ?? "", flags))
		return (await import("./directives.ts")).directiveLogs(invocation);
	const parts = realParts();
	const record = findRun(parts.records, operands[0] ?? "");
	const files = parts.records.files(record.runId);
	const only = flags.text("--only");
	if (flags.has("--json")) {
		const predicate = await predicateOf(files, parts);
		for (const stream of ["stdout", "stderr"] as const)
			if ((only ?? stream) === stream) await printLines(keptFile(files[stream], record), stream, predicate);
		return 0;
	}
	if (only !== "stderr") await print(files.stdout, process.stdout, record);
	if (only !== "stdout") await print(files.stderr, only === "stderr" ? process.stdout : process.stderr, record);
	return 0;
};

async function print(path: string, screen: NodeJS.WriteStream, record: RunRecord): Promise<number> {
	await writeFrom(createReadStream(keptFile(path, record)), screen);
	return 0;
}

function keptFile(path: string, record: RunRecord): string {
	if (existsSync(path)) return path;
	throw fail("cli.no-output-kept", { run: record.runId });
}

async function printLines(path: string, stream: StreamName, predicate: ReceiptPredicate | undefined): Promise<void> {
	const { size } = statSync(path);
	let [seq, printed] = [0, 0];
	for await (const bytes of chunksOf(path)) {
		printed += bytes.length;
		await writeLine({ stream, seq, bytes, truncated: printed === size && predicate?.result.outputTruncated === true });
		seq += 1;
	}
}

/** They end where lines do, as far as one has any: characters are not cut in two. */
async function* chunksOf(path: string): AsyncGenerator<Buffer> {
	let rest = Buffer.alloc(0);
	for await (const read of createReadStream(path)) {
		const bytes = Buffer.concat([rest, read as Buffer]);
		const end = bytes.lastIndexOf("\n") + 1 || bytes.length;
		yield bytes.subarray(0, end);
		rest = bytes.subarray(end);
	}
	if (rest.length > 0) yield rest;
}
