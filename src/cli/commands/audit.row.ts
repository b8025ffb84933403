import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";
import { type MemberFlag, operationRow, pageFlags, serverFlag } from "../fleet/operation-row.ts";

const filters: readonly MemberFlag[] = [
	{ name: "--event", value: "TYPE", member: "event_type", summary: "only this type, as directive.finished" },
	{
		name: "--severity",
		value: "LEVEL",
		member: "severity",
		choices: ["info", "warn", "critical"],
		summary: "only these",
	},
	{ name: "--directive", value: "ID", member: "directive_id", summary: "only those about it" },
	{ name: "--command", value: "ID", member: "command_id", summary: "only those about this device command" },
	{ name: "--territory", value: "ID", member: "territory_id", summary: "only those about this machine" },
	{ name: "--user", value: "ID", member: "actor_user_id", summary: "only what this person did" },
	{ name: "--since", value: "TIME", member: "since", summary: "from this time on, as 2026-11-21T08:00:00Z" },
	{ name: "--until", value: "TIME", member: "until", summary: "before this time" },
];

const exportRow: CommandRow = {
	path: ["audit", "export"],
	summary: "print audit events as JSON lines, oldest first",
	description: "Streams every audit event that fits, one JSON object a line.",
	operands: [],
	flags: [...filters.map(({ member: _, as: __, ...flag }) => flag), serverFlag],
	examples: [{ command: "vouch audit export --since 2026-11-01T00:00:00Z > november.jsonl", says: "A month:" }],
	load: async () => (await import("./audit.ts")).auditExportAction(filters),
};

const verifyRow: CommandRow = {
	path: ["audit", "verify"],
	summary: "prove that audit events are as they were journaled",
	description:
		"Fetches audit events and the entries of the journal that cover them, and checks that each entry is in the signed journal and " +
		"names exactly these events. Events of the last minute may not be journaled yet. With a checkpoint that was kept earlier it " +
		"proves too that nothing before it was rewritten. Exits 1 when something does not hold.",
	operands: [],
	flags: [
		{ name: "--key", value: "PUB", completes: "file", summary: "the control plane's public key; default what it says" },
		{
			name: "--checkpoint",
			value: "FILE",
			completes: "file",
			summary: "compare with the checkpoint in this file; write the new one there when all holds",
		},
		serverFlag,
		jsonFlag,
	],
	examples: [
		{ command: "vouch audit verify --checkpoint ~/vouch.checkpoint", says: "Every day, with yesterday's checkpoint:" },
	],
	load: async () => (await import("./audit.ts")).auditVerifyAction,
};

export const auditRows: readonly CommandRow[] = [
	operationRow({
		path: ["audit"],
		operation: "audit.list",
		summary: "list what was done in a fleet, and by whom",
		description:
			"Lists audit events, newest first. One that stays pending tells of a control plane that died meanwhile.",
		flags: [...filters, ...pageFlags],
		examples: [{ command: "vouch audit --severity warn", says: "What somebody should look at:" }],
	}),
	exportRow,
	verifyRow,
];
