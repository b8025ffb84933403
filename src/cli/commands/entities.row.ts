import { operationRow, pageFlags } from "../fleet/operation-row.ts";

/** Devices behind bridges: what `vouch commands send --entity` names. */
export const entityRows = [
	operationRow({
		path: ["entities"],
		operation: "entities.list",
		summary: "list the devices behind bridges",
		description: "Lists bridge entities: lamps, locks, sensors and such, as the bridge that reaches them said last.",
		flags: [
			{ name: "--territory", value: "ID", member: "territory_id", summary: "only those behind this bridge" },
			{ name: "--type", value: "TYPE", member: "entity_type", summary: "only those, as light" },
			{ name: "--capability", value: "NAME", member: "capability", summary: "only those that offer it" },
			{ name: "--location", value: "PATH", member: "location", summary: "only those there, or below it" },
			{ name: "--available", member: "available", as: "switch", summary: "only those that can be reached" },
			{ name: "--unavailable", member: "available", as: "opposite-switch", summary: "only those that can't" },
			...pageFlags,
		],
		examples: [{ command: "vouch entities --location home/kitchen", says: "What is in the kitchen:" }],
	}),
	operationRow({
		path: ["entities", "show"],
		operation: "entities.show",
		summary: "show a device behind a bridge",
		description: "Shows what a bridge said of a device: what it can do, its state, and when it was last seen.",
		operands: [{ name: "entity", member: "entity_id", summary: "id of an entity" }],
		examples: [{ command: "vouch entities show 019a…", says: "One lamp:" }],
	}),
];
