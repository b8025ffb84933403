import { join } from "node:path";
import { digestOfJson, type Failure, type RunId } from "../../core/index.ts";
import { compileRules, loopbackListenersOf } from "../../egress/index.ts";
import {
	type ConductParts,
	candidateDrivers,
	chooseDriver,
	type PlannedRun,
	type RootChoice,
	rootFor,
} from "../../runtime/index.ts";
import type { Workload } from "../../runtime/schema.ts";
import { agentFailures } from "../failures.ts";

export interface Place {
	readonly runId: RunId;
	readonly runDirectory: string;
	/** The facility's folder on this machine. */
	readonly folder: string;
	readonly hostProfile: "accepted" | "refused";
	readonly secretsFolder?: string | undefined;
	/** Its image; null for this machine's own system folders. */
	readonly root: RootChoice | null;
}

/** Plans a workload on this machine. Throws `not-placed` with every reason when no driver here keeps what it asks. */
export async function plannedHere(workload: Workload, place: Place, parts: ConductParts): Promise<PlannedRun> {
	const { runId, runDirectory, folder } = place;
	const compiled = compileRules(workload.network);
	if (compiled.kind !== "compiled") throw notPlaced(compiled.reasons);
	const gateSocket = join(runDirectory, "gate.sock");
	const request = {
		runId,
		// As decided, but for the folder: which one the facility is on this machine, no decision can know.
		workload: { ...workload, workspace: workload.workspace && { ...workload.workspace, source: folder } },
		runDirectory,
		cacheDirectory: parts.directories.cache,
		gateSocket,
		loopbackListeners: loopbackListenersOf(compiled.rules),
		acceptNoIsolation: place.hostProfile === "accepted" ? "accepted" : "not-accepted",
		// A machine was asked for, so whatever it takes was: elsewhere an image runs where it is fast.
		emulation:
			workload.isolation !== null || workload.demands.includes("separate-kernel") ? "accepted" : "not-accepted",
		machine: null,
		exposedFiles: [],
		...(place.secretsFolder === undefined ? {} : { secretsFolder: place.secretsFolder }),
	} as const;
	const unmet: Failure[] = [];
	for (const name of candidateDrivers(workload, place.root)) {
		const root = place.root === null ? null : await rootFor(name, place.root);
		const choice = await chooseDriver({ ...request, root }, name, parts.measured);
		if (choice.kind === "unmet") {
			unmet.push(...choice.reasons);
			continue;
		}
		const plan = { ...choice.plan, workloadDigest: digestOfJson(workload) };
		const workspaceFolder = workload.workspace === null ? null : folder;
		return { runId, workload, rules: compiled.rules, driver: choice.driver, plan, gateSocket, workspaceFolder };
	}
	throw notPlaced(unmet);
}

function notPlaced(reasons: readonly { readonly sentence: string }[]): Error {
	// Several drivers may say the same.
	const problems = new Set(reasons.map(({ sentence }) => sentence));
	return agentFailures.fail("not-placed", { problems: [...problems].join(" ") });
}
