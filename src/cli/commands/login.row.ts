import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";

export const loginRow: CommandRow = {
	path: ["login"],
	summary: "keep a control plane's address and a token for it",
	description:
		"Asks for a token, or reads it from stdin, tries it, and keeps both in a file that only you can read. Later commands ask this " +
		"control plane. A token is never an argument: other users of the machine see those.",
	operands: [
		{
			name: "url",
			summary: "of the control plane, as https://vouch.example.com",
			presence: "required",
			completes: "nothing",
		},
	],
	flags: [
		{ name: "--sso", summary: "sign in with the company's identity provider, in a browser; good for 12 hours" },
		{ name: "--token-file", value: "FILE", completes: "file", summary: "read the token from this file" },
		{
			name: "--ca",
			value: "FILE",
			completes: "file",
			summary: "trust this authority too, PEM; it is kept with the token",
		},
		jsonFlag,
	],
	examples: [
		{ command: "vouch login https://vouch.example.com --sso", says: "As the person that the company knows:" },
		{ command: "vouch login https://vouch.example.com", says: "At a terminal, which asks for the token:" },
		{ command: "vouch login https://vouch.example.com < token", says: "In a script:" },
	],
	load: async () => (await import("./login.ts")).loginAction,
};

export const logoutRow: CommandRow = {
	path: ["logout"],
	summary: "forget the token of a control plane",
	description: "Removes the token that `vouch login` kept. It stays good until it is revoked: `vouch tokens revoke`.",
	operands: [
		{ name: "url", summary: "of the control plane; default the latest", presence: "optional", completes: "nothing" },
	],
	flags: [jsonFlag],
	examples: [{ command: "vouch logout", says: "Of the latest login:" }],
	load: async () => (await import("./login.ts")).logoutAction,
};

export const configRow: CommandRow = {
	path: ["config"],
	summary: "print every setting, its value and where that came from",
	description:
		"Prints what a program would go by: `client` for the commands that ask a control plane, `server` for `vouch server`, `agent` for `vouch agent`. " +
		"Says of each value whether a variable, a file or nobody set it. Tokens are not printed. A file with mistakes fails with all of them.",
	operands: [
		{
			name: "program",
			summary: "whose settings; default client",
			presence: "optional",
			completes: "nothing",
			choices: ["client", "server", "agent"],
		},
	],
	flags: [
		{ name: "--config", value: "FILE", completes: "file", summary: "with this file, as `vouch server` takes it" },
		jsonFlag,
	],
	examples: [{ command: "vouch config server --config server.yaml", says: "Is this file right?" }],
	load: async () => (await import("./config.ts")).configAction,
};
