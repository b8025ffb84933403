import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";

export const keyShowRow: CommandRow = {
	path: ["key", "show"],
	summary: "print this node's public key and the keys it trusts",
	description:
		"Prints the public key that signs receipts, its id, and every key that `vouch verify` trusts. Makes the key on first use.",
	operands: [],
	flags: [{ name: "--public", summary: "print the public key alone, to hand to others" }, jsonFlag],
	examples: [{ command: "vouch key show --public > node.pub", says: "For those who will check your receipts:" }],
	load: async () => (await import("./key.ts")).keyShowAction,
};

export const keyRotateRow: CommandRow = {
	path: ["key", "rotate"],
	summary: "make a new signing key; the old one stays trusted for old receipts",
	description:
		"Makes a new Ed25519 key. The old key signs the new one, and that is journaled; older receipts keep verifying.",
	operands: [],
	flags: [jsonFlag],
	examples: [],
	load: async () => (await import("./key.ts")).keyRotateAction,
};

export const keyTrustRow: CommandRow = {
	path: ["key", "trust"],
	summary: "trust another node's public key",
	description: "Adds a public key (a file, or its text) to those that `vouch verify` trusts.",
	operands: [{ name: "key", summary: "public key: a file or its text", presence: "required", completes: "file" }],
	flags: [{ name: "--label", value: "NAME", summary: "what to call it, e.g. the machine's name" }, jsonFlag],
	examples: [{ command: "vouch key trust build-server.pub", says: "Trust another machine's receipts:" }],
	load: async () => (await import("./key.ts")).keyTrustAction,
};
