import type { CommandRow } from "../command.ts";
import { operationRow, pageFlags, serverFlag } from "../fleet/operation-row.ts";

const command = { name: "command", member: "command_id", summary: "id of a command" } as const;
const states = ["queued", "awaiting_approval", "dispatched", "completed", "failed", "timed_out", "canceled"];
const digest = {
	name: "--digest",
	value: "DIGEST",
	member: "workload_digest",
	summary: "of what you looked at: refused when it is another by then",
} as const;
const reason = {
	name: "--reason",
	value: "TEXT",
	member: "reason",
	summary: "why; it is kept with the answer",
} as const;

const attachmentRow: CommandRow = {
	path: ["commands", "attachment"],
	summary: "print the file that came with a command's result",
	description: "Prints the attachment of a command's result, bytes untouched.",
	operands: [{ name: "command", summary: command.summary, presence: "required", completes: "command" }],
	flags: [serverFlag],
	examples: [{ command: "vouch commands attachment 019a… > photo.jpg", says: "The picture of a `camera.snap`:" }],
	load: async () => (await import("./directives.ts")).attachmentAction,
};

/** Invocations of what devices can do: `camera.snap`. What a directive runs is no such command. */
export const commandRows: readonly CommandRow[] = [
	operationRow({
		path: ["commands"],
		operation: "commands.list",
		summary: "list device commands",
		description: "Lists invocations of device capabilities, newest first.",
		flags: [
			{ name: "--state", value: "STATE", member: "state", choices: states, summary: "only those" },
			{ name: "--territory", value: "ID", member: "territory_id", summary: "only those for this machine" },
			...pageFlags,
		],
		examples: [{ command: "vouch commands --state awaiting_approval", says: "What waits for somebody's yes:" }],
	}),
	operationRow({
		path: ["commands", "send"],
		operation: "commands.create",
		summary: "invoke a capability of a device",
		description:
			"Sends a command to the device that the flags find: by territory, location, tag, or the entity behind a bridge.",
		operands: [{ name: "capability", member: "capability", summary: "as camera.snap" }],
		flags: [
			{ name: "--territory", value: "ID", member: "target.territory_id", summary: "on this machine" },
			{ name: "--location", value: "PATH", member: "target.location", summary: "somewhere there" },
			{ name: "--tag", value: "TAG", member: "target.tag", summary: "on one with this tag" },
			{ name: "--entity", value: "REF", member: "target.entity_ref", summary: "the device behind a bridge" },
			{ name: "--params", value: "JSON", member: "params", as: "json", summary: "what the capability is told" },
			{
				name: "--timeout",
				value: "TIME",
				member: "timeout_seconds",
				as: "duration",
				summary: "give up after this; default 30s, at most 5m",
			},
		],
		examples: [
			{
				command: `vouch commands send light.control --location home/kitchen --params '{"on": true}'`,
				says: "A light:",
			},
		],
	}),
	operationRow({
		path: ["commands", "show"],
		operation: "commands.show",
		summary: "show a command and its result",
		description: "Shows a command, its state, and what the device answered.",
		operands: [command],
		examples: [{ command: "vouch commands show 019a…", says: "What became of it:" }],
	}),
	operationRow({
		path: ["commands", "approve"],
		operation: "commands.approve",
		summary: "approve a command that waits for it",
		description: "Approves a command. Nobody approves their own.",
		operands: [command],
		flags: [reason, digest],
		examples: [{ command: "vouch commands approve 019a…", says: "Yes:" }],
	}),
	operationRow({
		path: ["commands", "reject"],
		operation: "commands.reject",
		summary: "reject a command that waits for approval",
		description: "Rejects a command: it ends canceled.",
		operands: [command],
		flags: [reason, digest],
		examples: [{ command: "vouch commands reject 019a… --reason 'not at night'", says: "No, and why:" }],
	}),
	attachmentRow,
];
