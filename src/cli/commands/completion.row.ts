import type { CommandRow } from "../command.ts";
import { shells } from "../completion/index.ts";

export const completionRow: CommandRow = {
	path: ["completion"],
	summary: "print a completion script for bash, zsh or fish",
	description: "Prints the completion script of a shell.",
	operands: [
		{ name: "shell", summary: "bash, zsh or fish", presence: "required", completes: "nothing", choices: shells },
	],
	flags: [],
	examples: [
		{ command: "source <(vouch completion bash)", says: "In this bash:" },
		{ command: "vouch completion fish > ~/.config/fish/completions/vouch.fish", says: "For fish:" },
	],
	load: async () => (await import("./completion.ts")).completionAction,
};
