import { startLocalFleet } from "../agent/local-fleet.ts";
import { requestsToEnd } from "../agent/requests-to-end.ts";
import type { Action } from "../command.ts";
import { ownDirectories } from "../node-keys.ts";

export const upAction: Action = async ({ flags }) => {
	const directories = ownDirectories();
	const fleet = await startLocalFleet(flags, directories);
	process.stdout.write(`vouch up: ${fleet.url}\nvouch up: token of the owner: ${fleet.token}\n`);
	const asked = requestsToEnd();
	await asked.next();
	process.stderr.write("vouch up: ending when what runs has; once more to stop it\n");
	void asked.next().then(() => fleet.stop());
	await fleet.drain();
	return 0;
};
