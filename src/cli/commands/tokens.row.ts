import { operationRow, pageFlags } from "../fleet/operation-row.ts";

const token = { name: "token", member: "token_id", summary: "id of a token, not the token itself" } as const;
const expires = { name: "--expires", value: "TIME", member: "expires_in_seconds", as: "duration" } as const;
const usable = {
	name: "--usable",
	member: "usable",
	as: "switch",
	summary: "only those that still let somebody in",
} as const;
const roles = ["owner", "operator", "approver", "auditor", "member"];

/** API tokens are for people's programs, enrollment tokens for machines that join. */
export const tokenRows = [
	operationRow({
		path: ["tokens"],
		operation: "tokens.list",
		summary: "list API tokens",
		description: "Lists your API tokens; an owner sees everybody's. The tokens themselves are kept nowhere.",
		flags: [{ name: "--user", value: "ID", member: "user_id", summary: "only this person's" }, usable, ...pageFlags],
		examples: [{ command: "vouch tokens", says: "Which there are, and when each was used:" }],
	}),
	operationRow({
		path: ["tokens", "create"],
		operation: "tokens.create",
		summary: "make an API token; it is shown this once",
		description:
			"Makes a token with your role or a lesser one. It is printed this once: the control plane keeps its digest alone.",
		flags: [
			{ name: "--name", value: "TEXT", member: "name", summary: "what it is for" },
			{ name: "--role", value: "ROLE", member: "role", choices: roles, summary: "what it may do; default your role" },
			{ name: "--user", value: "ID", member: "user_id", summary: "for somebody else; owners alone may" },
			{ ...expires, summary: "how long it is good, as 12h or 30d; default for ever" },
		],
		examples: [
			{ command: "vouch tokens create --name ci --role member --expires 90d", says: "For a build:" },
			{ command: "vouch tokens create --name ci --json", says: "For a script that keeps it:" },
		],
	}),
	operationRow({
		path: ["tokens", "revoke"],
		operation: "tokens.revoke",
		summary: "revoke an API token",
		description: "Revokes a token: it is refused from now on.",
		operands: [token],
		examples: [{ command: "vouch tokens revoke 019a…", says: "One that leaked:" }],
	}),
	operationRow({
		path: ["tokens", "enroll"],
		operation: "enrollmentTokens.create",
		summary: "make a token with which one machine may join the fleet",
		description: "Makes an enrollment token. It is good for one machine, and printed this once.",
		flags: [
			{
				name: "--label",
				value: "NAME=VALUE",
				member: "labels",
				as: "pairs",
				repeats: "repeats",
				summary: "label of the machine that uses it",
			},
			{ ...expires, summary: "how long it is good, 1m to 30d; default 1h" },
		],
		examples: [
			{ command: "vouch tokens enroll --label rack=4 --expires 10m", says: "For a machine you are setting up:" },
		],
	}),
	operationRow({
		path: ["tokens", "enrollments"],
		operation: "enrollmentTokens.list",
		summary: "list enrollment tokens",
		description: "Lists enrollment tokens: which were used, which still could be.",
		flags: [usable, ...pageFlags],
		examples: [{ command: "vouch tokens enrollments", says: "All of them:" }],
	}),
	operationRow({
		path: ["tokens", "revoke-enrollment"],
		operation: "enrollmentTokens.revoke",
		summary: "revoke an enrollment token",
		description:
			"Revokes an enrollment token that was not used. A machine that used it stays: see `vouch territories decommission`.",
		operands: [{ name: "token", member: "enrollment_token_id", summary: "id of an enrollment token" }],
		examples: [{ command: "vouch tokens revoke-enrollment 019a…", says: "One that was sent to the wrong person:" }],
	}),
];
