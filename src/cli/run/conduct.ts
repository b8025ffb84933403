import {
	conduct,
	type Finished,
	type RunFiles,
	recordOf,
	recoverInterrupted,
	type Screens,
	type Ties,
	upstreamProxyOf,
	withRunDirectory,
} from "../../runtime/index.ts";
import type { RunOutcome } from "./outcome.ts";
import type { Parts } from "./parts.ts";
import { type PreparedRun, prepare } from "./prepare.ts";
import { announce } from "./report.ts";
import type { RunRequest } from "./request.ts";
import { rawTerminal, windowSizes } from "./terminal.ts";
import { terminationSignals } from "./termination-signals.ts";

/** One run from request to receipt. Whatever happens, nothing of it is left running and its private folder is gone. */
export async function conductRequest(request: RunRequest, parts: Parts): Promise<RunOutcome> {
	await recoverInterrupted(parts, parts.records);
	return withRunDirectory(parts, async (runId, runDirectory) =>
		conductPrepared(request, await prepare(request, runId, runDirectory, parts), parts),
	);
}

async function conductPrepared(request: RunRequest, prepared: PreparedRun, parts: Parts): Promise<RunOutcome> {
	const record = recordOf(prepared, parts.clock);
	const files = parts.records.create(record);
	if (request.show === "report") announce(prepared);
	try {
		const finished = await runAndMeasure(request, prepared, files, parts);
		const { sealAndJournal } = await import("./receipt.ts");
		const predicate = await sealAndJournal(finished, prepared, files, parts);
		parts.records.update({ ...record, status: "ended" });
		return { predicate, files, hasDiff: finished.diff !== null };
	} catch (error) {
		parts.records.forget(prepared.runId);
		throw error;
	}
}

async function runAndMeasure(
	request: RunRequest,
	prepared: PreparedRun,
	files: RunFiles,
	parts: Parts,
): Promise<Finished> {
	// As it was before anything else is said, whatever comes of the run.
	using terminal = new DisposableStack();
	let receipts: typeof import("./receipt.ts") | undefined;
	const ties: Ties = {
		environment: request.environment,
		screens: screensFor(request),
		cancels: terminationSignals,
		beyondOutputLimit: "killed",
		upstreamProxy: upstreamProxyOf(process.env),
		merkleRoot: (leaves) => {
			if (receipts === undefined) throw new TypeError("a gate is opened after what makes receipts was loaded");
			return receipts.merkleRoot(leaves);
		},
		// What makes receipts is loaded while the sandbox is made. A command whose receipt can't be signed and journaled must not run.
		beforeStart: async () => {
			receipts = await import("./receipt.ts");
			(await parts.journal()).checkpoint();
		},
		started: () => {
			if (request.tty === "asked" && request.stdin === "passed") terminal.use(rawTerminal());
			void parts.journal().then((journal) => journal.ready());
		},
	};
	return await conduct(prepared, files, ties, parts);
}

function screensFor(request: RunRequest): Screens {
	const quiet = request.show === "quiet";
	return {
		stdin: request.stdin === "passed" ? process.stdin : null,
		// With --json stdout belongs to the one document at the end.
		stdout: request.show === "json" ? process.stderr : process.stdout,
		stderr: process.stderr,
		secrets: "shown",
		say: (text) => {
			const end = request.tty === "asked" ? "\r\n" : "\n";
			if (!quiet) process.stderr.write(`${end}vouch: ${text}${end}`);
		},
		...(request.tty === "asked" ? { windowSizes } : {}),
	};
}
