import type { CommandRow, Operand } from "../command.ts";
import { jsonFlag } from "../command.ts";
import { operationRow, pageFlags, serverFlag } from "../fleet/operation-row.ts";

const states = [
	"queued",
	"awaiting_approval",
	"leased",
	"running",
	"succeeded",
	"failed",
	"canceled",
	"timed_out",
] as const;
const directive = { name: "directive", member: "directive_id", summary: "id of a directive" } as const;
const reason = {
	name: "--reason",
	value: "TEXT",
	member: "reason",
	summary: "why; it is kept with the answer",
} as const;

/** Of `show`, `logs`, `diff` and `receipt`: docs/guides/fleet.md has the rule. */
export const runOrDirective: Operand = {
	name: "id",
	summary: "a run here: its id, the beginning of it, or `last`; or a directive of the fleet: its whole id",
	presence: "required",
	completes: "run_or_directive",
};

const bytes = { operands: [runOrDirective], flags: [serverFlag] } as const;

const approveRow: CommandRow = {
	path: ["approve"],
	summary: "approve a directive that waits for it",
	description:
		"Shows what a directive would run, and approves exactly that: the answer names the digest of what was shown, and is refused " +
		"when the directive is another by then. Nobody approves their own. Where the policy asks for several people, it says how many are missing.",
	operands: [{ name: "directive", summary: directive.summary, presence: "required", completes: "directive" }],
	flags: [
		{ name: "--reason", value: "TEXT", summary: reason.summary },
		{ name: "--digest", value: "DIGEST", summary: "of the workload that you looked at, where that was elsewhere" },
		{
			name: "--for",
			value: "TIME",
			summary: "how long the yes counts, as 2h; what was not begun by then is canceled; default 1d",
		},
		serverFlag,
		jsonFlag,
	],
	examples: [{ command: "vouch approve 019a… --reason 'as discussed'", says: "Yes, and why:" }],
	load: async () => (await import("./directives.ts")).approveAction,
};

const diffRow: CommandRow = {
	path: ["diff"],
	summary: "print what a run or a directive changed, as a unified diff",
	description: "Prints the diff of the workspace, bytes untouched.",
	...bytes,
	examples: [{ command: "vouch diff 019a… | git apply", says: "Bring the changes of a directive here:" }],
	load: async () => (await import("./directives.ts")).diffAction,
};

const receiptRow: CommandRow = {
	path: ["receipt"],
	summary: "print the receipt of a run or a directive",
	description: "Prints the receipt: the file that `vouch verify` checks.",
	...bytes,
	examples: [{ command: "vouch receipt 019a… > run.receipt.json", says: "To check it elsewhere:" }],
	load: async () => (await import("./directives.ts")).receiptAction,
};

export const directiveRows: readonly CommandRow[] = [
	operationRow({
		path: ["directives"],
		operation: "directives.list",
		summary: "list what was submitted to a fleet",
		description: "Lists directives, newest first.",
		flags: [
			{ name: "--state", value: "STATE", member: "state", choices: states, summary: "only those" },
			{ name: "--facility", value: "ID", member: "facility_id", summary: "only those in this facility" },
			{ name: "--territory", value: "ID", member: "territory_id", summary: "only those that this machine ran" },
			{ name: "--user", value: "ID", member: "requested_by_user_id", summary: "only those that this person asked for" },
			...pageFlags,
		],
		examples: [{ command: "vouch directives --state awaiting_approval", says: "What waits for somebody's yes:" }],
	}),
	operationRow({
		path: ["cancel"],
		operation: "directives.cancel",
		summary: "cancel a directive",
		description:
			"Ends a directive: at once when nobody runs it yet, otherwise its territory is asked to. `vouch show` says what became of it.",
		operands: [directive],
		examples: [{ command: "vouch cancel 019a…", says: "One that is not wanted any more:" }],
	}),
	approveRow,
	operationRow({
		path: ["reject"],
		operation: "directives.reject",
		summary: "reject a directive that waits for approval",
		description: "Rejects a directive: it ends canceled, and nobody runs it.",
		operands: [directive],
		flags: [
			reason,
			{
				name: "--digest",
				value: "DIGEST",
				member: "workload_digest",
				summary: "of the workload that you looked at",
			},
		],
		examples: [{ command: "vouch reject 019a… --reason 'use the staging facility'", says: "No, and why:" }],
	}),
	diffRow,
	receiptRow,
	operationRow({
		path: ["approvals"],
		operation: "approvals.list",
		summary: "list who approved and rejected what",
		description: "Lists answers of people to directives and commands, newest first.",
		flags: [
			{ name: "--directive", value: "ID", member: "directive_id", summary: "only those about it" },
			{ name: "--command", value: "ID", member: "command_id", summary: "only those about this device command" },
			{ name: "--user", value: "ID", member: "approver_user_id", summary: "only this person's" },
			{
				name: "--verdict",
				value: "VERDICT",
				member: "verdict",
				choices: ["approved", "rejected"],
				summary: "only these",
			},
			...pageFlags,
		],
		examples: [{ command: "vouch approvals --directive 019a…", says: "Who said yes to this:" }],
	}),
];
