import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";
import { operationRow, pageFlags, serverFlag } from "../fleet/operation-row.ts";

const facility = { name: "facility", member: "facility_id", summary: "id of a facility" } as const;

const createRow: CommandRow = {
	path: ["facility", "create"],
	summary: "make a workspace of the fleet",
	description:
		"Makes a facility: a workspace that stays, with one writer at a time. Empty, cloned from a repository by the machine that first " +
		"runs something there, or a copy of a folder that a machine has and lets be imported.",
	operands: [],
	flags: [
		{ name: "--empty", summary: "an empty folder; this is what is made when nothing else is said" },
		{ name: "--repo", value: "URL", summary: "a clone of this repository" },
		{ name: "--ref", value: "REF", summary: "with --repo: this branch or tag" },
		{
			name: "--import",
			value: "DIR",
			completes: "directory",
			summary: "a copy of this folder of the machine that runs it",
		},
		{ name: "--name", value: "TEXT", summary: "a name to submit to it by" },
		{
			name: "--territory",
			value: "ID",
			summary: "the machine it belongs to; with --import the only one when there is one",
		},
		{
			name: "--affinity",
			value: "HOW",
			choices: ["none", "required"],
			summary: "required: only its machine runs there",
		},
		serverFlag,
		jsonFlag,
	],
	examples: [
		{ command: "vouch facility create --repo https://github.com/example/app.git --name app", says: "A repository:" },
		{ command: "vouch facility create --import . --name here", says: "This folder, with `vouch up` on this machine:" },
	],
	load: async () => (await import("./facility.ts")).facilityCreateAction,
};

export const facilityRows: readonly CommandRow[] = [
	createRow,
	operationRow({
		path: ["facility", "ls"],
		operation: "facilities.list",
		summary: "list workspaces of the fleet",
		description: "Lists facilities, newest first, and which directive writes in them now.",
		flags: [
			{ name: "--name", value: "TEXT", member: "name", summary: "only those of this name" },
			{
				name: "--kind",
				value: "KIND",
				member: "kind",
				choices: ["repo", "empty", "imported_path"],
				summary: "only those",
			},
			{ name: "--territory", value: "ID", member: "territory_id", summary: "only those of this machine" },
			{ name: "--locked", member: "locked", as: "switch", summary: "only those that something writes in" },
			...pageFlags,
		],
		examples: [{ command: "vouch facility ls --locked", says: "Which are in use:" }],
	}),
	operationRow({
		path: ["facility", "show"],
		operation: "facilities.show",
		summary: "show a facility",
		description: "Shows a facility.",
		operands: [facility],
		examples: [{ command: "vouch facility show 019a…", says: "One of them:" }],
	}),
	operationRow({
		path: ["facility", "change"],
		operation: "facilities.change",
		summary: "change a facility's name, machine or affinity",
		description: "Changes a facility.",
		operands: [facility],
		flags: [
			{ name: "--name", value: "TEXT", member: "name", summary: "a name to submit to it by" },
			{ name: "--territory", value: "ID", member: "territory_id", summary: "the machine it belongs to" },
			{
				name: "--affinity",
				value: "HOW",
				member: "affinity",
				choices: ["none", "required"],
				summary: "required: only its machine runs there",
			},
			{
				name: "--retention",
				value: "JSON",
				member: "retention_policy",
				as: "json",
				summary: "what its machine keeps of it",
			},
		],
		examples: [{ command: "vouch facility change 019a… --name app", says: "Give it a name:" }],
	}),
	operationRow({
		path: ["facility", "rm"],
		operation: "facilities.delete",
		summary: "delete a facility that has no directives",
		description: "Deletes a facility. One that has directives stays, with their record.",
		operands: [facility],
		examples: [{ command: "vouch facility rm 019a…", says: "One that was made by mistake:" }],
	}),
];
