import { type CommandRow, jsonFlag } from "../command.ts";

export const upRow: CommandRow = {
	path: ["up"],
	summary: "a fleet on this machine alone: control plane, agent and store",
	description:
		"Runs a control plane with an embedded store on loopback and one agent of it, until it is told to end. Prints the address and a " +
		"token of the owner, and logs this user in, so that `vouch submit` in another terminal finds it. Ctrl-C drains: nothing more is " +
		"leased and what runs may end; a second one stops it at once. A later start finds everything as it was. With --json its address, " +
		"token and state are one line.",
	operands: [],
	flags: [
		{ name: "--port", value: "PORT", summary: "port on 127.0.0.1; default 3000, 0 takes a free one" },
		{
			name: "--data",
			value: "FOLDER",
			completes: "directory",
			summary: "store, keys and facilities; default in Vouch's data",
		},
		{ name: "--max-concurrent", value: "N", summary: "directives at once; default 1" },
		{
			name: "--log-level",
			value: "LEVEL",
			choices: ["fatal", "error", "warn", "info", "debug", "trace", "silent"],
			summary: "default warn",
		},
		jsonFlag,
	],
	examples: [
		{ command: "vouch up", says: "Then, in another terminal:" },
		{ command: "vouch facility create --empty", says: "A workspace:" },
		{ command: "vouch submit --facility ID -- make test", says: "A directive in it; follows its output:" },
	],
	load: async () => (await import("./up.ts")).upAction,
};
