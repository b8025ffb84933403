import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";

export const journalVerifyRow: CommandRow = {
	path: ["journal", "verify"],
	summary: "prove the whole journal of this node",
	description: `Recomputes every entry, tile and the root of the append-only log, checks the signed checkpoint, and reports the first entry
that does not fit. Exits 0 when all fits, 1 otherwise.`,
	operands: [],
	flags: [
		{ name: "--directory", value: "DIR", completes: "directory", summary: "another journal than this node's" },
		{ name: "--key", value: "PUB", repeats: "repeats", completes: "file", summary: "trust only this public key" },
		jsonFlag,
	],
	examples: [{ command: "vouch journal verify", says: "This node's journal:" }],
	load: async () => (await import("./journal.ts")).journalVerifyAction,
};
