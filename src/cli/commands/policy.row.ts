import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";

export const policyCheckRow: CommandRow = {
	path: ["policy", "check"],
	summary: "check a policy file and list every problem in it",
	description:
		"Reads vouch.policy.yaml (or FILE) and says whether it is valid; every problem is listed with its line. Exits 0 or 1.",
	operands: [{ name: "file", summary: "a policy file", presence: "optional", completes: "file" }],
	flags: [jsonFlag],
	examples: [{ command: "vouch policy check", says: "The policy that a run here would get:" }],
	load: async () => (await import("./policy.ts")).policyCheckAction,
};
