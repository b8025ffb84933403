import { operationRow, pageFlags } from "../fleet/operation-row.ts";

const roles = ["owner", "operator", "approver", "auditor", "member"];
const role = { name: "--role", value: "ROLE", member: "role", choices: roles, summary: "what they may do" } as const;

export const userRows = [
	operationRow({
		path: ["users"],
		operation: "users.list",
		summary: "list the people of the account",
		description: "Lists people and their roles: owner, operator, approver, auditor, member.",
		flags: [
			role,
			{ name: "--email", value: "ADDRESS", member: "email", summary: "only the one with this address" },
			{ name: "--disabled", member: "disabled", as: "switch", summary: "only those that are disabled" },
			...pageFlags,
		],
		examples: [{ command: "vouch users --json", says: "For a script:" }],
	}),
	operationRow({
		path: ["users", "add"],
		operation: "users.create",
		summary: "add a person to the account",
		description:
			"Adds a person. They sign in through the identity provider by their email address, or with a token that an owner makes for them.",
		flags: [
			{ name: "--name", value: "TEXT", member: "name", summary: "their name" },
			{ name: "--email", value: "ADDRESS", member: "email", summary: "by which the identity provider knows them" },
			role,
		],
		examples: [
			{ command: "vouch users add --name Ada --email ada@example.com --role approver", says: "Somebody who approves:" },
		],
	}),
	operationRow({
		path: ["users", "change"],
		operation: "users.change",
		summary: "change a person's name or role, or disable them",
		description:
			"Changes a person. The tokens of somebody disabled are refused at once; the account keeps at least one owner.",
		operands: [{ name: "user", member: "user_id", summary: "id of a person" }],
		flags: [
			{ name: "--name", value: "TEXT", member: "name", summary: "their name" },
			role,
			{ name: "--disable", member: "disabled", as: "switch", summary: "refuse them from now on" },
			{ name: "--enable", member: "disabled", as: "opposite-switch", summary: "let them in again" },
		],
		examples: [{ command: "vouch users change 019a… --disable", says: "Somebody left:" }],
	}),
	operationRow({
		path: ["whoami"],
		operation: "account.whoami",
		summary: "say whose token is used, and what it may do",
		description: "Asks the control plane whose credential it was sent: the person, the role of the token, the account.",
		examples: [{ command: "vouch whoami", says: "With the token that is kept:" }],
	}),
];
