import type { OperationName } from "../../api/index.ts";
import { type CommandRow, type Flag, jsonFlag, KNOWN, type Known, type Operand } from "../command.ts";

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

/** For completion, and for a shell's `for`. */
const idsFlag: Flag = { name: "--ids", summary: "print ids alone" };

/** A row that says which operation it is. */
export interface OperationRow extends CommandRow {
	readonly command: OperationCommand;
}

export function operationRow(command: OperationCommand): OperationRow {
	const { operands = [], flags = [], path, summary, description, examples } = command;
	const isOfKnown = Object.values<readonly string[]>(KNOWN)
		.flat()
		.includes(`${path.join(" ")} ${idsFlag.name}`);
	return {
		command,
		path,
		summary,
		description,
		examples,
		operands: operands.map(({ member, presence = "required", ...operand }) => ({
			...operand,
			presence,
			completes: knownBy(member) ?? "nothing",
		})),
		flags: [...flags.map(flagOf), ...(isOfKnown ? [idsFlag] : []), serverFlag, jsonFlag],
		load: async () => (await import("./operation-action.ts")).operationAction(command),
	};
}

function flagOf({ member, as: _, ...flag }: MemberFlag): Flag {
	const completes = knownBy(member);
	return completes === undefined ? flag : { ...flag, completes };
}

/** `requested_by_user_id` is the id of a user. */
function knownBy(member: string): Known | undefined {
	return (Object.keys(KNOWN) as Known[]).find((known) => member.endsWith(`${known}_id`));
}
