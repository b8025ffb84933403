import type { CommandRow, Operand } from "../command.ts";
import { jsonFlag } from "../command.ts";

const runOperand: Operand = {
	name: "run",
	summary: "a run's id or the beginning of one; `last` for the newest",
	presence: "required",
	completes: "run",
};

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
	summary: "show one run: what ran, what it reached, what it changed",
	description: "Prints what the receipt of a run holds, for people. With --diff its workspace diff.",
	operands: [runOperand],
	flags: [{ name: "--diff", summary: "print the unified diff of the workspace" }, jsonFlag],
	examples: [{ command: "vouch show last", says: "The newest run:" }],
	load: async () => (await import("./runs.ts")).showAction,
};

export const logsRow: CommandRow = {
	path: ["logs"],
	summary: "print what a run wrote to stdout and stderr",
	description: "Prints the kept output of a run: stdout on stdout and stderr on stderr, bytes untouched.",
	operands: [runOperand],
	flags: [{ name: "--only", value: "STREAM", choices: ["stdout", "stderr"], summary: "one stream alone" }],
	examples: [{ command: "vouch logs last --only stderr", says: "Errors of the newest run:" }],
	load: async () => (await import("./runs.ts")).logsAction,
};
