import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";

export const doctorRow: CommandRow = {
	path: ["doctor"],
	summary: "check what this machine can isolate, and how to mend what it can't",
	description: `Tries what each driver needs (namespaces, control groups, podman, hardware virtualisation, disk, time) and says what works, what
does not, and the exact command that mends it. Exits 0 when at least one isolating driver works, 1 otherwise.`,
	operands: [],
	flags: [jsonFlag],
	examples: [{ command: "vouch doctor", says: "After installing:" }],
	load: async () => (await import("./doctor.ts")).doctorAction,
};
