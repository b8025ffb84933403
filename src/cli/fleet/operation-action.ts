import { parse } from "yaml";
import { type Client, type Operation, type OperationName, operations } from "../../api/index.ts";
import { parseDurationMs, reasonOf } from "../../core/index.ts";
import type { Action, FlagValues, Invocation } from "../command.ts";
import { fail } from "../failures.ts";
import { printJson } from "../screen.ts";
import type { MemberFlag, OperationCommand } from "./operation-row.ts";
import { openSession, readText } from "./session.ts";
import { idsOf, viewOf } from "./views.ts";

type Members = Readonly<Record<string, unknown>>;

/** Calls the operation with what was given and prints its answer: as it is with `--json`, else for people. */
export function operationAction(command: OperationCommand): Action {
	return async (invocation) => {
		const given = givenFor(command, invocation);
		const { client } = openSession(invocation.flags);
		const answer = await call(client, command.operation, given);
		if (invocation.flags.has("--json")) printJson(answer);
		else if (invocation.flags.has("--ids")) process.stdout.write(idsOf(answer as Members));
		else process.stdout.write(viewOf(command.operation, answer as Members));
		return 0;
	};
}

/** An operation by its name; the command's row says which members it has, and a test compares that with the table. */
export function call(client: Client, name: OperationName, given: Members): Promise<unknown> {
	const [group = "", method = ""] = name.split(".");
	const groups = client as unknown as Readonly<Record<string, Readonly<Record<string, Method>>>>;
	const found = groups[group]?.[method];
	if (found === undefined) throw new TypeError(`there is no operation ${name}`);
	return found(given);
}
type Method = (given: Members) => Promise<unknown>;

/** Members of the path and the query by their names, the others below `body`. */
export function givenFor(
	{ operation, operands = [], flags = [] }: Pick<OperationCommand, "operation" | "operands" | "flags">,
	{ operands: words, flags: values }: Invocation,
): Members {
	const { path, query, body }: Operation = operations[operation];
	const named = [
		...operands.map(({ member }, at) => [member, words[at]] as const),
		...flags.map((flag) => [flag.member, readMember(flag, values)] as const),
	].filter(([, value]) => value !== undefined);
	const isOutside = ([member]: readonly [string, unknown]) =>
		Object.hasOwn(path.shape, member) || Object.hasOwn(query.shape, member);
	const outside = Object.fromEntries(named.filter(isOutside));
	if (body === null) return outside;
	const inside = named.filter((each) => !isOutside(each));
	// A file is the whole body, and flags win over its members.
	const whole = inside.find(([member]) => member === "")?.[1] ?? {};
	return { ...outside, body: { ...whole, ...nested(inside.filter(([member]) => member !== "")) } };
}

/** `target.tag` is `tag` of `target`. */
function nested(members: readonly (readonly [string, unknown])[]): Members {
	const result: Record<string, unknown> = {};
	for (const [name, value] of members) {
		const [outer = name, inner] = name.split(".");
		result[outer] = inner === undefined ? value : { ...(result[outer] as object | undefined), [inner]: value };
	}
	return result;
}

function readMember(flag: MemberFlag, values: FlagValues): unknown {
	const text = values.text(flag.name);
	if (text === undefined) return undefined;
	const wrong = (problem: string) => fail("cli.usage", { problem: `${flag.name} ${text}: ${problem}.` });
	switch (flag.as) {
		case undefined:
			return text;
		case "switch":
			return true;
		case "opposite-switch":
			return false;
		case "number":
			if (!/^-?\d+$/.test(text)) throw wrong("write a whole number");
			return Number(text);
		case "duration":
			return secondsOf(text, wrong);
		case "list":
			return values.all(flag.name);
		case "pairs":
			return Object.fromEntries(values.all(flag.name).map((pair) => pairOf(pair, wrong)));
		case "json":
			return parsed(text, wrong);
		case "yaml-file":
			return parsed(readText(text), wrong);
	}
}

function secondsOf(text: string, wrong: (problem: string) => Error): number {
	const durationMs = parseDurationMs(text);
	if (durationMs === undefined) throw wrong("write a time such as 90s, 10m or 30d");
	return Math.round(durationMs / 1000);
}

function pairOf(text: string, wrong: (problem: string) => Error): readonly [string, string] {
	const at = text.indexOf("=");
	if (at < 1) throw wrong("write NAME=VALUE");
	return [text.slice(0, at), text.slice(at + 1)];
}

function parsed(text: string, wrong: (problem: string) => Error): unknown {
	try {
		return parse(text);
	} catch (error) {
		throw wrong(reasonOf(error));
	}
}
