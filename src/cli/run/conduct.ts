import { rmSync } from "node:fs";
import { join } from "node:path";
import { newId, type RunId } from "../../core/index.ts";
import { type Gate, openGate } from "../../egress/index.ts";
import { merkleRoot } from "../../evidence/index.ts";
import { readGitHead, type Supervised, socketOwner, type TreeSnapshot } from "../../host/index.ts";
import { fail } from "../failures.ts";
import { privateDirectory } from "../node-keys.ts";
import { changesBetween, scanWorkspace } from "./changes.ts";
import { workspaceDiff } from "./diff.ts";
import { type Observed, observe, type Screens } from "./observe.ts";
import type { Finished, Ledger, RunOutcome } from "./outcome.ts";
import type { Parts } from "./parts.ts";
import { type PreparedRun, prepare } from "./prepare.ts";
import { type Programs, programsOf } from "./programs.ts";
import { sealAndJournal } from "./receipt.ts";
import { type RunFiles, type RunRecord, startTicksOf } from "./records.ts";
import { recoverInterrupted } from "./recovery.ts";
import { announce } from "./report.ts";
import type { RunRequest } from "./request.ts";
import { upstreamProxyOf } from "./upstream.ts";

/** One run from request to receipt. Whatever happens, nothing of it is left running and its private folder is gone. */
export async function conduct(request: RunRequest, parts: Parts): Promise<RunOutcome> {
	await recoverInterrupted(parts);
	// Looked at before anything runs: a command whose receipt can't be signed and journaled must not run at all.
	parts.journal().checkpoint();
	const runId = newId<RunId>(parts.clock.nowMs());
	const runDirectory = privateDirectory(join(parts.directories.runtime, runId));
	try {
		const prepared = await prepare(request, runId, runDirectory, parts);
		return await conductPrepared(request, prepared, parts);
	} finally {
		rmSync(runDirectory, { recursive: true, force: true });
	}
}

async function conductPrepared(request: RunRequest, prepared: PreparedRun, parts: Parts): Promise<RunOutcome> {
	const record = recordOf(prepared, parts);
	const files = parts.records.create(record);
	if (request.show === "report") announce(prepared);
	try {
		const finished = await runAndMeasure(request, prepared, files, parts);
		const predicate = await sealAndJournal(finished, files, parts);
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
	const source = prepared.workload.workspace?.source ?? null;
	const scan = async (): Promise<TreeSnapshot | null> => (source === null ? null : await scanWorkspace(source, parts));
	let run: Supervised | undefined;
	const gate = await openGate({
		rules: prepared.rules,
		socketPath: prepared.gateSocket,
		upstreamProxy: upstreamProxyOf(process.env),
		processOf: async ({ address, port }) => (run === undefined ? null : socketOwner(run.programPid, address, port)),
	});
	let before: TreeSnapshot | null;
	let observed: Observed | undefined;
	let programs: Programs;
	let ledger: Ledger;
	// Read before the run: afterwards HEAD is what the command made of it.
	const head = readGitHead(source ?? "/nonexistent");
	try {
		before = await scan();
		run = await start(request, prepared, gate, parts);
		const secrets = prepared.workload.secrets.flatMap((name) => request.environment[name] ?? []);
		const observing = observe(run, prepared.workload, secrets, files, screensFor(request), parts.clock);
		// Work that the end would wait for is done while the command runs.
		parts.journal().ready();
		[observed, programs] = await Promise.all([observing, programsOf(prepared.driver.name, parts)]);
	} catch (error) {
		// Nobody is left to watch it.
		run?.kill();
		await run?.ended;
		throw error;
	} finally {
		ledger = await gate.close({ counters: observed?.ending.counters ?? null, merkleRoot });
	}
	if (observed.ending.cause === "failed-to-start") {
		throw fail("cli.start-failed", { problem: observed.ending.message ?? "the supervisor gave no reason" });
	}
	const after = await scan();
	const changes = changesBetween(before, after);
	const diff = before === null || after === null ? null : await workspaceDiff(head, before, after, changes, parts);
	return { prepared, observed, ledger, before, changes, diff, programs };
}

async function start(request: RunRequest, prepared: PreparedRun, gate: Gate, parts: Parts): Promise<Supervised> {
	const run = await prepared.driver.start(prepared.plan, { environment: request.environment }, parts.host);
	run.onEvent((event) => gate.noteSupervisorEvent(event));
	return run;
}

function screensFor(request: RunRequest): Screens {
	const quiet = request.show === "quiet";
	return {
		stdin: request.stdin === "passed" ? process.stdin : null,
		// With --json stdout belongs to the one document at the end.
		stdout: request.show === "json" ? process.stderr : process.stdout,
		stderr: process.stderr,
		say: (text) => {
			if (!quiet) process.stderr.write(`\nvouch: ${text}\n`);
		},
	};
}

function recordOf(prepared: PreparedRun, parts: Parts): RunRecord {
	return {
		runId: prepared.runId,
		argv: prepared.workload.argv,
		driver: prepared.driver.name,
		startedAt: new Date(parts.clock.nowMs()).toISOString(),
		owner: { pid: process.pid, startTicks: startTicksOf(process.pid) ?? "" },
		status: "live",
	};
}
