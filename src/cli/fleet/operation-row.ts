import type { OperationName } from "../../api/index.ts";
import type { CommandRow, Flag, Operand } from "../command.ts";
import { jsonFlag } from "../command.ts";

/** A flag that is a member of the operation's query or body. */
export interface MemberFlag extends Flag {
	readonly member: string;
	/** What its text means. A `switch` is true when given. Default text. */
	readonly as?: "number" | "json" | "list" | "duration" | "pairs" | "yaml-file" | "switch" | "opposite-switch";
}

export interface MemberOperand extends Omit<Operand, "completes" | "presence"> {
	readonly member: string;
	readonly presence?: Operand["presence"];
}

/** A command that is one operation of the control plane: its operands and flags are the operation's members. */
export interface OperationCommand extends Omit<CommandRow, "operands" | "flags" | "load"> {
	readonly operation: OperationName;
	readonly operands?: readonly MemberOperand[];
	readonly flags?: readonly MemberFlag[];
}

export const serverFlag: Flag = {
	name: "--server",
	value: "URL",
	summary: "ask this control plane; default VOUCH_SERVER, then the latest `vouch login`",
};

/** Of every list. */
export const pageFlags: readonly MemberFlag[] = [
	{ name: "--limit", value: "N", member: "limit", as: "number", summary: "how many at most, 1 to 500; default 50" },
	{ name: "--cursor", value: "TEXT", member: "cursor", summary: "go on where a list ended: what it said" },
];

/** A row that says which operation it is. */
export interface OperationRow extends CommandRow {
	readonly command: OperationCommand;
}

export function operationRow(command: OperationCommand): OperationRow {
	const { operands = [], flags = [], path, summary, description, examples } = command;
	return {
		command,
		path,
		summary,
		description,
		examples,
		operands: operands.map(({ member: _, presence = "required", ...operand }) => ({
			...operand,
			presence,
			completes: "nothing",
		})),
		flags: [...flags.map(({ member: _, as: __, ...flag }) => flag), serverFlag, jsonFlag],
		load: async () => (await import("./operation-action.ts")).operationAction(command),
	};
}
