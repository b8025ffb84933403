import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";
import { serverFlag } from "../fleet/operation-row.ts";
import { runOrDirective } from "./directives.row.ts";

export const runsRow: CommandRow = {
	path: ["runs"],
	summary: "list the runs on this machine, newest first",
	description: "Lists runs with their age, driver, ending, connections and command.",
	operands: [],
	flags: [
		{ name: "--limit", value: "N", summary: "how many; default 20" },
		{ name: "--ids", summary: "print ids alone" },
		jsonFlag,
	],
	examples: [{ command: "vouch runs --limit 5", says: "The last five:" }],
	load: async () => (await import("./runs.ts")).runsAction,
};

export const showRow: CommandRow = {
	path: ["show"],
	summary: "show one run or directive: what ran, what it reached, what it changed",
	description:
		"Prints what the receipt of a run holds, for people. With --diff its workspace diff. Of a directive of the fleet, its state.",
	operands: [runOrDirective],
	flags: [{ name: "--diff", summary: "print the unified diff of the workspace" }, serverFlag, jsonFlag],
	examples: [
		{ command: "vouch show last", says: "The newest run here:" },
		{ command: "vouch show 019a2f44-8c1e-7000-9d2b-2f0e6a1c4b55", says: "A directive, by its whole id:" },
	],
	load: async () => (await import("./runs.ts")).showAction,
};

export const logsRow: CommandRow = {
	path: ["logs"],
	summary: "print what a run or a directive wrote to stdout and stderr",
	description: "Prints the kept output: stdout on stdout and stderr on stderr, bytes untouched.",
	operands: [runOrDirective],
	flags: [
		{ name: "--only", value: "STREAM", choices: ["stdout", "stderr"], summary: "one stream alone" },
		{ name: "--follow", short: "-f", summary: "of a directive: go on with what comes, until it has ended" },
		{ name: "--json", summary: "print a line of JSON for each chunk: stream, seq, text (or base64), truncated" },
		serverFlag,
	],
	examples: [
		{ command: "vouch logs last --only stderr", says: "Errors of the newest run:" },
		{ command: "vouch logs -f 019a2f44-8c1e-7000-9d2b-2f0e6a1c4b55", says: "Watch a directive:" },
		{ command: "vouch logs last --json | jq -j 'select(.stream == \"stderr\").text'", says: "For a program:" },
	],
	load: async () => (await import("./runs.ts")).logsAction,
};
