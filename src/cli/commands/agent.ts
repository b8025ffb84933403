import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { enrollHere, settingsFile } from "../agent/enrollment.ts";
import { requestsToEnd } from "../agent/requests-to-end.ts";
import { agentDirectory, startAgent } from "../agent/running-agent.ts";
import type { Action, FlagValues } from "../command.ts";
import { fail } from "../failures.ts";
import { ownDirectories } from "../node-keys.ts";
import { printJson } from "../screen.ts";
import { type AgentSettings, agentSettings } from "../settings/agent-settings.ts";
import { readSettings } from "../settings/settings.ts";
import { readBounded } from "./verify.ts";

/** Runs until it is told to end. */
export const agentAction: Action = async ({ flags }) => {
	const agent = await startAgent(readAgentSettings(flags), ownDirectories());
	const asked = requestsToEnd();
	const first = await Promise.race([asked.next(), agent.ended]);
	if (first === undefined) return 0;
	process.stderr.write("vouch agent: ending when what runs has; once more to stop it\n");
	void asked.next().then(() => agent.stop());
	await agent.drain();
	return 0;
};

export const agentEnrollAction: Action = async ({ flags }) => {
	const serverUrl = flags.text("--server");
	if (serverUrl === undefined) throw fail("cli.usage", { problem: "Give the control plane with --server URL." });
	const directory = resolve(flags.text("--data") ?? join(ownDirectories().data, "agent"));
	const ca = flags.text("--ca");
	const territoryId = await enrollHere({
		serverUrl,
		token: await tokenOf(flags),
		name: flags.text("--name") ?? hostname(),
		labels: labelsOf(flags.all("--label")),
		directory,
		ca: ca === undefined ? null : { path: resolve(ca), pem: readBounded(ca, 1024 * 1024).toString("utf8") },
	});
	const path = settingsFile(directory);
	if (flags.has("--json")) printJson({ territoryId, settings: path });
	else process.stdout.write(`This machine is territory ${territoryId}. Start it: vouch agent --config ${path}\n`);
	return 0;
};

/** What a node is to be; without --config what enrolling wrote. */
export function readAgentSettings(flags: FlagValues): AgentSettings {
	const directory = agentDirectory({ dataDirectory: flags.text("--data") ?? "" }, ownDirectories());
	const file = flags.text("--config") ?? settingsFile(directory);
	if (!flags.has("--config") && !existsSync(file)) throw fail("cli.not-enrolled", { path: file });
	return readSettings(agentSettings, { file, flags, environment: process.env }).values;
}

async function tokenOf(flags: FlagValues): Promise<string> {
	const given = flags.text("--token") ?? process.env.VOUCH_ENROLL_TOKEN;
	if (given === undefined) throw fail("cli.usage", { problem: "Give the token with --token TOKEN, or - for stdin." });
	return given === "-" ? (await textOf(process.stdin)).trim() : given;
}

function labelsOf(given: readonly string[]): Readonly<Record<string, string>> {
	return Object.fromEntries(
		given.map((text) => {
			const equals = text.indexOf("=");
			if (equals < 1) throw fail("cli.usage", { problem: `--label ${text}: write it as KEY=VALUE.` });
			return [text.slice(0, equals), text.slice(equals + 1)];
		}),
	);
}
