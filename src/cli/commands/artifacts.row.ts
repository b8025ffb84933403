import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";
import { serverFlag } from "../fleet/operation-row.ts";
import { runOrDirective } from "./directives.row.ts";

export const artifactsRow: CommandRow = {
	path: ["artifacts"],
	summary: "list and get the files that a run or a directive handed over",
	description:
		"Lists the files that `--artifact` of `vouch run` and `vouch submit` kept, or gets them. What is got is compared with the digest " +
		"that the receipt binds, and has its name or is printed only then; a file that is there already is left as it is, and that is a failure.",
	operands: [runOrDirective],
	flags: [
		{ name: "--get", value: "NAME", summary: "print this one instead of the list" },
		{
			name: "--output",
			short: "-o",
			value: "FILE",
			completes: "file",
			summary: "with --get: write it to this new file",
		},
		{ name: "--to", value: "DIR", completes: "directory", summary: "write all of them below this folder" },
		serverFlag,
		jsonFlag,
	],
	examples: [
		{ command: "vouch artifacts 019a…", says: "What there is:" },
		{ command: "vouch artifacts last --get dist/app.tgz -o app.tgz", says: "One of the latest run here:" },
		{ command: "vouch artifacts 019a… --to out", says: "All of them:" },
	],
	load: async () => (await import("./artifacts.ts")).artifactsAction,
};
