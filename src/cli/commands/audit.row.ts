import type { CommandRow } from "../command.ts";
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
];
