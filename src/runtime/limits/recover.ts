import type { RunId } from "../../core/index.ts";
import type { Host } from "../../host/index.ts";
import { probeLimits } from "./facts.ts";
import { groupPath } from "./plan.ts";

/** Ends every process in a run's control groups and removes them. True when there was one. */
export async function removeControlGroups(runId: RunId, host: Host): Promise<boolean> {
	const { controllers, unifiedDirectory } = await probeLimits(host);
	const directories = new Set(Object.values(controllers).map(({ directory }) => directory));
	if (unifiedDirectory !== null) directories.add(unifiedDirectory);
	const paths = [...directories].flatMap((directory) => [
		groupPath(directory, runId),
		`${groupPath(directory, runId)}${DRIVER_GROUP_SUFFIX}`,
	]);
	const found = (await Promise.all(paths.map(async (path) => ((await host.exists(path)) ? [path] : [])))).flat();
	for (const path of found) await endProcesses(path, host);
	for (const path of found) await host.run(["rmdir", path]);
	return found.length > 0;
}

/** The driver's own processes sit in a group beside the workload's, so that its limits are the workload's alone. */
export const DRIVER_GROUP_SUFFIX = "-driver";

/** A fork bomb needs more than one round: each kills what the last one left. */
const ROUNDS = 50;

async function endProcesses(path: string, host: Host): Promise<void> {
	for (let round = 0; round < ROUNDS; round += 1) {
		const processes = ((await host.readText(`${path}/cgroup.procs`)) ?? "").split("\n").filter((line) => line !== "");
		if (processes.length === 0) return;
		await host.run(["kill", "-KILL", ...processes]);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}
