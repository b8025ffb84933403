import { type CommandRow, type Flag, jsonFlag } from "../command.ts";

/** Flags of the server's settings (`settings/server-settings.ts`). */
const serverFlags: readonly Flag[] = [
	{ name: "--config", value: "FILE", completes: "file", summary: "settings as YAML; flags and variables win over it" },
	{ name: "--host", value: "ADDRESS", summary: "address to listen on; default 127.0.0.1" },
	{ name: "--port", value: "PORT", summary: "port to listen on; default 3000, 0 takes a free one" },
	{ name: "--store", value: "URL", summary: "sqlite:PATH or postgres://…; default a file in the data folder" },
	{ name: "--data", value: "FOLDER", completes: "directory", summary: "keys, CA, journal and blobs" },
	{
		name: "--blobs",
		value: "URL",
		summary: "s3://BUCKET/PREFIX for diffs, receipts and attachments; default the data folder",
	},
	{
		name: "--territory-auth",
		value: "MODE",
		choices: ["mtls", "header", "either"],
		summary: "how territories prove who they are; anything but mtls is for development",
	},
	{
		name: "--fingerprint-header",
		value: "NAME",
		summary: "header in which a trusted proxy gives the certificate's SHA-256",
	},
	{
		name: "--people-auth",
		value: "MODE",
		choices: ["tokens", "headers"],
		summary: "how people prove who they are; headers are for development",
	},
	{ name: "--tls-certificate", value: "FILE", completes: "file", summary: "own TLS: certificate chain, PEM" },
	{ name: "--tls-key", value: "FILE", completes: "file", summary: "own TLS: key, PEM" },
	{
		name: "--log-level",
		value: "LEVEL",
		choices: ["fatal", "error", "warn", "info", "debug", "trace", "silent"],
		summary: "default info",
	},
	jsonFlag,
];

export const serverRow: CommandRow = {
	path: ["server"],
	summary: "run a control plane for a fleet",
	description:
		"Runs a control plane until it is told to end. Prints its address and, on an empty store, a token for its owner, which is " +
		"shown this once. Ctrl-C or SIGTERM ends it: territories are told to come again, requests under way are answered. Existing " +
		"nodes of the conduits protocol can enroll, poll and report, as `vouch agent` does. With --json address and token are one line.",
	operands: [],
	flags: serverFlags,
	examples: [
		{ command: "vouch server --config server.yaml", says: "As a file says:" },
		{ command: "vouch server --store postgres://vouch@db/vouch --port 3001", says: "One of several on one database:" },
	],
	load: async () => (await import("./server.ts")).serverAction,
};
