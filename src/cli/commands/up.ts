import { driverStates, FreshMeasurements, strongestHere } from "../../agent/index.ts";
import { systemClock } from "../../core/index.ts";
import { realHost } from "../../host/index.ts";
import type { Driver } from "../../runtime/index.ts";
import { type LocalFleet, startLocalFleet } from "../agent/local-fleet.ts";
import { requestsToEnd } from "../agent/requests-to-end.ts";
import type { Action } from "../command.ts";
import { type Directories, imageDirectory } from "../directories.ts";
import { ownDirectories } from "../node-keys.ts";
import { paint } from "../screen.ts";
import { agentSettings } from "../settings/agent-settings.ts";

export const upAction: Action = async ({ flags }) => {
	const directories = ownDirectories();
	const fleet = await startLocalFleet(flags, directories);
	const driver = await strongestDriver(directories);
	process.stdout.write(`${flags.has("--json") ? line(fleet, driver) : greeting(fleet, driver)}\n`);
	const asked = requestsToEnd();
	await asked.next();
	process.stderr.write(`vouch up: ${farewell(fleet)}\n`);
	void asked.next().then(() => fleet.stop());
	await fleet.drain();
	return 0;
};

/** One line, since more may follow on stderr for as long as it runs. */
function line({ url, token, directory }: LocalFleet, driver: Driver | undefined): string {
	return JSON.stringify({ url, token, directory, driver: driver?.name ?? null });
}

function greeting({ url, token, directory }: LocalFleet, driver: Driver | undefined): string {
	const bold = (text: string) => paint("bold", text, process.stdout);
	const isolation =
		driver === undefined
			? ["none works here: vouch doctor"]
			: [`${driver.name}: ${driver.summary}`, `it does not protect against ${driver.doesNotProtectAgainst}`];
	return [
		`${bold("vouch up:")} a control plane and an agent on this machine, at ${url}`,
		`  token of the owner  ${token}`,
		`  state               ${directory}`,
		`  isolation           ${isolation.join("\n                      ")}`,
		"  next                vouch facility create --empty --name app",
		"                      vouch submit --facility app -- echo hello",
		"  Ctrl-C              drains: nothing more is leased, and what runs may end",
	].join("\n");
}

function farewell(fleet: LocalFleet): string {
	const count = fleet.runningCount();
	if (count === 0) return "ending; nothing runs";
	const what = count === 1 ? "a directive" : `${count} directives`;
	return `waiting for ${what} to end, at most ${agentSettings.drainMs.standard}; once more to stop at once`;
}

async function strongestDriver(directories: Directories): Promise<Driver | undefined> {
	const machine = { host: realHost(), clock: systemClock, directories };
	const measured = new FreshMeasurements(machine, imageDirectory(directories));
	return strongestHere(await driverStates({ measured, hostProfile: "refused" }));
}
