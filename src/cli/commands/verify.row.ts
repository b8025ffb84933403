import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";

export const verifyRow: CommandRow = {
	path: ["verify"],
	summary: "check a receipt offline, claim by claim",
	description: `Recomputes everything that FILE claims and prints one line per claim: holds, does not hold, or not claimed; then the assurance
level. Needs nothing but the file and a trusted key: --key, or the keys of this node and those trusted by \`vouch key trust\`.
Exits 0 when every claim made holds, 1 when one does not, 2 when the file can't be read as a receipt.`,
	operands: [
		{
			name: "file",
			summary: "a receipt: run-….receipt.json, or a run on this machine by its id",
			presence: "required",
			completes: "file",
		},
	],
	flags: [
		{
			name: "--key",
			value: "PUB",
			repeats: "repeats",
			completes: "file",
			summary: "trust only this public key (text or file) instead of this node's keys",
		},
		{
			name: "--stdout",
			value: "FILE",
			completes: "file",
			summary: "check that this is what the run printed on stdout",
		},
		{
			name: "--stderr",
			value: "FILE",
			completes: "file",
			summary: "check that this is what the run printed on stderr",
		},
		{ name: "--diff", value: "FILE", completes: "file", summary: "check that this is the run's diff" },
		{
			name: "--artifact",
			value: "NAME=FILE",
			repeats: "repeats",
			summary: "check that this is the file of that name that the run handed over",
		},
		jsonFlag,
	],
	examples: [
		{ command: "vouch verify run-0190….receipt.json", says: "With the keys that this node trusts:" },
		{ command: "vouch verify run-0190….receipt.json --key node.pub --json", says: "With one key, for a script:" },
	],
	load: async () => (await import("./verify.ts")).verifyAction,
};
