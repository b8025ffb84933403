import type { CommandRow, Flag } from "../command.ts";
import { jsonFlag } from "../command.ts";

const configFlag: Flag = {
	name: "--config",
	value: "FILE",
	completes: "file",
	summary: "settings as YAML; default what `vouch agent enroll` wrote",
};
const dataFlag: Flag = {
	name: "--data",
	value: "FOLDER",
	completes: "directory",
	summary: "keys, facilities and live runs; default a folder in Vouch's data",
};
const nameFlag: Flag = {
	name: "--name",
	value: "NAME",
	summary: "what the territory is called; default this machine's name",
};
const serverFlag: Flag = { name: "--server", value: "URL", summary: "the control plane" };

export const agentRow: CommandRow = {
	path: ["agent"],
	summary: "run leased directives on this machine",
	description:
		"Runs until it is told to end: leases directives from its control plane, runs each in a sandbox exactly as it was decided, " +
		"sends output, and a receipt that this territory's key signed. Ctrl-C or SIGTERM drains: nothing more is leased, and what runs " +
		"may end in the time that shutdown_timeout gives; a second one stops it at once.",
	operands: [],
	flags: [
		configFlag,
		serverFlag,
		dataFlag,
		nameFlag,
		{ name: "--labels", value: "K=V,…", summary: "what people find it by" },
		{ name: "--max-concurrent", value: "N", summary: "directives at once; default 1" },
		{ name: "--health", value: "HOST:PORT", summary: "serve /healthz, /readyz and /metrics there" },
		{
			name: "--log-level",
			value: "LEVEL",
			choices: ["fatal", "error", "warn", "info", "debug", "trace", "silent"],
			summary: "default info",
		},
	],
	examples: [
		{ command: "vouch agent", says: "As it was enrolled:" },
		{ command: "vouch agent --config /etc/vouch/agent.yaml --health 127.0.0.1:9090", says: "As a service:" },
	],
	load: async () => (await import("./agent.ts")).agentAction,
};

export const agentEnrollRow: CommandRow = {
	path: ["agent", "enroll"],
	summary: "make this machine a territory of a control plane",
	description:
		"Makes a key and a request for a certificate, and shows the token that `vouch tokens enroll` gave. What comes back is written " +
		"beside the settings with which `vouch agent` starts. The token works once; when anything fails it still works.",
	operands: [],
	flags: [
		serverFlag,
		{
			name: "--token",
			value: "TOKEN",
			summary: "enrollment token; - reads it from stdin, where no process list shows it",
		},
		nameFlag,
		{ name: "--label", value: "K=V", repeats: "repeats", summary: "what people find it by" },
		dataFlag,
		{ name: "--ca", value: "FILE", completes: "file", summary: "PEM of who signed the server's certificate" },
		jsonFlag,
	],
	examples: [
		{ command: "vouch agent enroll --server https://vouch.example.com --token -", says: "With the token on stdin:" },
	],
	load: async () => (await import("./agent.ts")).agentEnrollAction,
};

export const agentDoctorRow: CommandRow = {
	path: ["agent", "doctor"],
	summary: "try everything that this node needs",
	description:
		"Tries the certificate, the control plane, the drivers, git, the disk and what secrets need, and says what mends what is missing. " +
		"Exits 1 when directives can't be run.",
	operands: [],
	flags: [configFlag, dataFlag, jsonFlag],
	examples: [{ command: "vouch agent doctor --config /etc/vouch/agent.yaml", says: "Of a service:" }],
	load: async () => (await import("./agent-upkeep.ts")).agentDoctorAction,
};

export const agentInstallRow: CommandRow = {
	path: ["agent", "install"],
	summary: "install the agent as a hardened systemd service",
	description:
		"Writes the units of the service, of its privileged helper and of the helper's socket, and the user that it runs as; then says " +
		"what to run to enroll and start it. The service is an unprivileged user's without a capability.",
	operands: [],
	flags: [
		{ name: "--user", value: "NAME", summary: "who it runs as; default vouch" },
		{
			name: "--config",
			value: "FILE",
			summary: "settings of the service; default /var/lib/vouch-agent/agent/agent.yaml",
		},
		{ name: "--root", value: "FOLDER", completes: "directory", summary: "install below this folder instead of /" },
		{ name: "--dry-run", summary: "print what would be written" },
		jsonFlag,
	],
	examples: [
		{ command: "vouch agent install --dry-run", says: "Look first:" },
		{ command: "sudo vouch agent install", says: "Then:" },
	],
	load: async () => (await import("./agent-upkeep.ts")).agentInstallAction,
};
