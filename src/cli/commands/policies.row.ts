import { type MemberFlag, operationRow, pageFlags } from "../fleet/operation-row.ts";

const policy = { name: "policy", member: "policy_id", summary: "id of a policy" } as const;
const text: readonly MemberFlag[] = [
	{
		name: "--file",
		value: "FILE",
		member: "",
		as: "yaml-file",
		completes: "file",
		summary: "members as YAML or JSON: name, priority, scope, and the six dimensions",
	},
	{ name: "--name", value: "TEXT", member: "name", summary: "its name; wins over the file" },
	{ name: "--priority", value: "N", member: "priority", as: "number", summary: "lower is broader and merged first" },
];

/** Policies of the fleet, which the control plane decides by. A run of this machine has its own: `vouch policy check`. */
export const policyRows = [
	operationRow({
		path: ["policies"],
		operation: "policies.list",
		summary: "list the policies of a fleet",
		description: "Lists the policies by which a control plane decides, in the order in which they are merged.",
		flags: [
			{
				name: "--scope",
				value: "TYPE",
				member: "scope_type",
				choices: ["Account", "User", "Conduits::Facility"],
				summary: "only those for one kind of thing",
			},
			{ name: "--scope-id", value: "ID", member: "scope_id", summary: "only those for this one" },
			{ name: "--all", member: "include_inactive", as: "switch", summary: "those that are inactive too" },
			...pageFlags,
		],
		examples: [{ command: "vouch policies --all", says: "All that there ever were:" }],
	}),
	operationRow({
		path: ["policies", "show"],
		operation: "policies.show",
		summary: "show a policy",
		description: "Shows a policy as it is now.",
		operands: [policy],
		examples: [{ command: "vouch policies show 019a… --json > policy.json", says: "To change it in an editor:" }],
	}),
	operationRow({
		path: ["policies", "versions"],
		operation: "policies.versions",
		summary: "list every version that a policy had",
		description: "Lists the versions of a policy, newest first. None is ever lost; --json has them whole.",
		operands: [policy],
		flags: [
			{ name: "--user", value: "ID", member: "changed_by_user_id", summary: "only what this person changed" },
			...pageFlags,
		],
		examples: [{ command: "vouch policies versions 019a…", says: "What it said before:" }],
	}),
	operationRow({
		path: ["policies", "create"],
		operation: "policies.create",
		summary: "make a policy",
		description: "Makes a policy from a file. It holds for what is submitted from now on, and for what still waits.",
		flags: text,
		examples: [{ command: "vouch policies create --file no-network.yaml", says: "From a file:" }],
	}),
	operationRow({
		path: ["policies", "change"],
		operation: "policies.change",
		summary: "change a policy",
		description: "Changes the members that the file or the flags name; the others stay. Makes a version.",
		operands: [policy],
		flags: [
			...text,
			{ name: "--activate", member: "active", as: "switch", summary: "let it hold again" },
			{ name: "--deactivate", member: "active", as: "opposite-switch", summary: "let it hold no more" },
		],
		examples: [{ command: "vouch policies change 019a… --file policy.yaml", says: "After `policies dry-run`:" }],
	}),
	operationRow({
		path: ["policies", "rm"],
		operation: "policies.delete",
		summary: "make a policy inactive; its versions stay",
		description: "Makes a policy inactive. What was decided by it can still be looked up.",
		operands: [policy],
		examples: [{ command: "vouch policies rm 019a…", says: "One that is no longer wanted:" }],
	}),
	operationRow({
		path: ["policies", "dry-run"],
		operation: "policies.dryRun",
		summary: "what would this policy have done to the latest directives",
		description:
			"Judges the latest directives by the policies of now, and again with the policy of the file, and lists those that would be " +
			"judged otherwise. A file with an `id` stands for that policy; without one it is a new one. Changes nothing.",
		flags: [
			{
				name: "--file",
				value: "FILE",
				member: "policy",
				as: "yaml-file",
				completes: "file",
				summary: "the policy to try, as YAML or JSON",
			},
			{
				name: "--last",
				value: "N",
				member: "last",
				as: "number",
				summary: "how many directives; default 100, at most 1000",
			},
		],
		examples: [
			{ command: "vouch policies dry-run --file stricter.yaml --last 500", says: "Before `policies create`:" },
		],
	}),
];
