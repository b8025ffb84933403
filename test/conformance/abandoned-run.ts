/** A Vouch that is about to be killed: starts a run under the driver that is named, says what it started, and waits. */
import { drivers } from "../../src/runtime/index.ts";
import { tryOut } from "./sandbox.ts";

const driver = drivers.find(({ name }) => name === process.argv[2]);
if (driver === undefined) throw new Error("usage: abandoned-run DRIVER MARK");
await tryOut(driver, {
	argv: ["sh", "-c", `echo up; (setsid sleep ${process.argv[3]} &); exec sleep ${process.argv[3]}`],
	limits: { memoryMiB: 64, processes: 32 },
	during: async (run, plan, runDirectory, printed) => {
		while (!printed().includes("up")) await new Promise((resolve) => setTimeout(resolve, 20));
		const groups = plan.supervision.controlGroups.map(({ path }) => path);
		process.stdout.write(
			`${JSON.stringify({ runId: plan.runId, supervisorPid: run.supervisorPid, groups, runDirectory })}\n`,
		);
	},
});
