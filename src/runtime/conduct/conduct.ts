import { type Gate, openGate } from "../../egress/index.ts";
import { readGitHead, type Supervised, socketOwner, type TreeSnapshot } from "../../host/index.ts";
import { failures } from "../failures.ts";
import { forgetTrials } from "../trials.ts";
import { collectArtifacts } from "./artifacts.ts";
import { changesBetween, scanWorkspace } from "./changes.ts";
import { workspaceDiff } from "./diff.ts";
import { type Observed, observe } from "./observe.ts";
import type { ConductParts, Finished, PlannedRun, Ties } from "./parts.ts";
import { type Programs, programsOf } from "./programs.ts";
import type { RunFiles } from "./records.ts";

/**
 * Runs what was planned and measures it. Whatever happens, nothing of it is left running when this settles. Throws
 * `start-failed` when the command was not run.
 */
export async function conduct(run: PlannedRun, files: RunFiles, ties: Ties, parts: ConductParts): Promise<Finished> {
	const source = run.workspaceFolder;
	const scan = async (): Promise<TreeSnapshot | null> => (source === null ? null : await scanWorkspace(source, parts));
	let live: Supervised | undefined;
	let gate: Gate | undefined;
	let before: TreeSnapshot | null = null;
	let observed: Observed | undefined;
	let programs: Programs;
	let ledger: Finished["ledger"] | undefined;
	/** All that must stand before the command runs. */
	const makeReady = async (): Promise<void> => {
		await ties.beforeStart?.();
		gate = await openGate({
			rules: run.rules,
			socketPath: run.gateSocket,
			upstreamProxy: ties.upstreamProxy,
			processOf: async ({ address, port }) => (live === undefined ? null : socketOwner(live.programPid, address, port)),
		});
		before = await scan();
	};
	// Read before the run: afterwards HEAD is what the command made of it.
	const head = readGitHead(source ?? "/nonexistent");
	try {
		live = await start(run, ties, makeReady, parts);
		live.onEvent((event) => gate?.noteSupervisorEvent(event));
		const observing = observe(live, run.workload, files, ties, parts.clock);
		ties.started();
		[observed, programs] = await Promise.all([observing, programsOf(run.driver.name, parts)]);
	} catch (error) {
		// Nobody is left to watch it.
		live?.kill();
		await live?.ended;
		throw error;
	} finally {
		ledger = await gate?.close({ counters: observed?.ending.counters ?? null, merkleRoot: ties.merkleRoot });
	}
	if (ledger === undefined) throw new TypeError("a run that was observed had a gate");
	if (observed.ending.cause === "failed-to-start") {
		forgetTrials(parts.directories.cache);
		throw failures.fail("start-failed", { problem: observed.ending.message ?? "the supervisor gave no reason" });
	}
	const after = await scan();
	const changes = changesBetween(before, after);
	const diff = before === null || after === null ? null : await workspaceDiff(head, before, after, changes, parts);
	const artifacts = await collectArtifacts(run.workload, after, files.artifacts);
	return { run, observed, ledger, before, changes, diff, artifacts, programs };
}

/** The driver makes the sandbox meanwhile, where it can: that takes as long as making ready does. */
async function start(
	{ driver, plan }: PlannedRun,
	{ environment }: Ties,
	makeReady: () => Promise<void>,
	{ host }: ConductParts,
): Promise<Supervised> {
	if (driver.starts !== "held") {
		await makeReady();
		return driver.start(plan, { environment }, host);
	}
	const { promise: go, resolve, reject } = Promise.withResolvers<void>();
	const starting = driver.start(plan, { environment, go }, host);
	// A turn of the event loop, in which the instructions are sent.
	await new Promise((next) => setImmediate(next));
	await makeReady().then(resolve, reject);
	return starting;
}
