import { join } from "node:path";
import { digestOfJson, type RunId } from "../../core/index.ts";
import { compileRules, loopbackListenersOf } from "../../egress/index.ts";
import { type ConductParts, chooseDriver, type PlannedRun } from "../../runtime/index.ts";
import type { Workload } from "../../runtime/schema.ts";
import { agentFailures } from "../failures.ts";

export interface Place {
	readonly runId: RunId;
	readonly runDirectory: string;
	/** The facility's folder on this machine. */
	readonly folder: string;
	readonly hostProfile: "accepted" | "refused";
	readonly secretsFolder?: string | undefined;
}

/** Plans a workload on this machine. Throws `not-placed` with every reason when no driver here keeps what it asks. */
export async function plannedHere(workload: Workload, place: Place, parts: ConductParts): Promise<PlannedRun> {
	const { runId, runDirectory, folder } = place;
	const compiled = compileRules(workload.network);
	if (compiled.kind !== "compiled") throw notPlaced(compiled.reasons);
	const gateSocket = join(runDirectory, "gate.sock");
	const choice = await chooseDriver(
		{
			runId,
			// As decided, but for the folder: which one the facility is on this machine, no decision can know.
			workload: { ...workload, workspace: workload.workspace && { ...workload.workspace, source: folder } },
			runDirectory,
			cacheDirectory: parts.directories.cache,
			root: null,
			gateSocket,
			loopbackListeners: loopbackListenersOf(compiled.rules),
			acceptNoIsolation: place.hostProfile === "accepted" ? "accepted" : "not-accepted",
			emulation: "not-accepted",
			machine: null,
			exposedFiles: [],
			...(place.secretsFolder === undefined ? {} : { secretsFolder: place.secretsFolder }),
		},
		workload.isolation,
		parts.measured,
	);
	if (choice.kind === "unmet") throw notPlaced(choice.reasons);
	const plan = { ...choice.plan, workloadDigest: digestOfJson(workload) };
	const workspaceFolder = workload.workspace === null ? null : folder;
	return { runId, workload, rules: compiled.rules, driver: choice.driver, plan, gateSocket, workspaceFolder };
}

function notPlaced(reasons: readonly { readonly sentence: string }[]): Error {
	return agentFailures.fail("not-placed", { problems: reasons.map(({ sentence }) => sentence).join(" ") });
}
