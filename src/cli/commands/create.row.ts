import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";

export const createRow: CommandRow = {
	path: ["create"],
	summary: "start a project that builds to the same image everywhere",
	description: `Makes a folder NAME with a small program, its test, a reproducible Dockerfile that needs no network, and a README with the three
commands: build, run, rebuild.`,
	operands: [
		{
			name: "name",
			summary: "of the folder, the program and the image",
			presence: "required",
			completes: "nothing",
		},
	],
	flags: [
		{
			name: "--template",
			value: "LANGUAGE",
			choices: ["python", "node", "go", "rust", "c"],
			summary: "what it is written in; asked for at a terminal",
		},
		jsonFlag,
	],
	examples: [{ command: "vouch create hello --template python", says: "Then: cd hello; vouch image build ." }],
	load: async () => (await import("./create.ts")).createAction,
};
