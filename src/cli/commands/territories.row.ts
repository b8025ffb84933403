import { operationRow, pageFlags } from "../fleet/operation-row.ts";

const territory = { name: "territory", member: "territory_id", summary: "id of a territory" } as const;

export const territoryRows = [
	operationRow({
		path: ["territories"],
		operation: "territories.list",
		summary: "list the machines of a fleet",
		description: "Lists territories: the machines that run directives and the devices that take commands.",
		flags: [
			{
				name: "--status",
				value: "STATUS",
				member: "status",
				choices: ["pending", "online", "offline", "decommissioned"],
				summary: "only those",
			},
			{
				name: "--kind",
				value: "KIND",
				member: "kind",
				choices: ["server", "desktop", "mobile", "bridge"],
				summary: "only those",
			},
			{ name: "--tag", value: "TAG", member: "tag", summary: "only those with this tag" },
			{ name: "--location", value: "PATH", member: "location", summary: "only those there, or below it" },
			...pageFlags,
		],
		examples: [{ command: "vouch territories --status offline", says: "Machines that fell silent:" }],
	}),
	operationRow({
		path: ["territories", "show"],
		operation: "territories.show",
		summary: "show a territory",
		description: "Shows what a territory said of itself: what it can do, how much at once, when it was last heard.",
		operands: [territory],
		examples: [{ command: "vouch territories show 019a…", says: "One machine:" }],
	}),
	operationRow({
		path: ["territories", "change"],
		operation: "territories.change",
		summary: "change a territory's name, location, tags or capacity",
		description: "Changes what operators say of a territory; what it says of itself it says with every heartbeat.",
		operands: [territory],
		flags: [
			{ name: "--name", value: "TEXT", member: "display_name", summary: "name shown to people" },
			{ name: "--location", value: "PATH", member: "location", summary: "where it is, as home/office" },
			{ name: "--tag", value: "TAG", member: "tags", as: "list", repeats: "repeats", summary: "all of its tags" },
			{
				name: "--max-concurrent",
				value: "N",
				member: "max_concurrent",
				as: "number",
				summary: "directives that it runs at once",
			},
		],
		examples: [{ command: "vouch territories change 019a… --tag gpu --max-concurrent 4", says: "Four at once:" }],
	}),
	operationRow({
		path: ["territories", "decommission"],
		operation: "territories.decommission",
		summary: "take a territory out of service for good",
		description:
			"Takes a territory out of service and revokes its certificates. It can't come back: it would enroll anew.",
		operands: [territory],
		examples: [{ command: "vouch territories decommission 019a…", says: "A machine that was sold:" }],
	}),
	operationRow({
		path: ["territories", "revoke-certificates"],
		operation: "territories.revokeCertificates",
		summary: "revoke a territory's certificates",
		description:
			"Revokes every certificate of a territory: whoever holds its keys is refused from now on. It must enroll again.",
		operands: [territory],
		examples: [{ command: "vouch territories revoke-certificates 019a…", says: "After a theft:" }],
	}),
];
