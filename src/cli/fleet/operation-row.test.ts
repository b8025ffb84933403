import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { type Operation, type OperationName, operations } from "../../api/index.ts";
import { rows } from "../commands/index.ts";
import type { OperationRow } from "./operation-row.ts";

const table = Object.entries<Operation>(operations) as [OperationName, Operation][];
const operationRows = rows.filter((row): row is OperationRow => "command" in row);

/** What people have no word for: spellings of existing clients, and parts of what `vouch audit verify` does. */
const WITHOUT_A_COMMAND = /InFacility$|^policies\.replace$|^journal\.|^directives\.logChunks$|^nodes\./;

test("every operation that people may call has a command, with the operation's operands", () => {
	for (const [name, { command }] of table.filter(([each]) => !WITHOUT_A_COMMAND.test(each))) {
		const row = rows.find(({ path }) => path.join(" ") === command?.words.join(" "));
		assert.ok(row !== undefined, `${name}: there is no command ${command?.words.join(" ")}`);
		if (!("command" in row)) continue;
		const { operation, operands = [] } = (row as OperationRow).command;
		assert.equal(operation, name);
		assert.deepEqual(
			operands.map(({ member }) => member),
			command?.operands,
			name,
		);
	}
});

/** Members of a body; those of a member that is an object by `outer.inner` too. */
function membersOf(schema: z.ZodType | null, before = ""): readonly string[] {
	const inner = schema === null ? undefined : unwrapped(schema);
	if (!(inner instanceof z.ZodObject)) return [];
	return Object.entries(inner.shape).flatMap(([name, member]) => [
		`${before}${name}`,
		...(before === "" ? membersOf(member as z.ZodType, `${name}.`) : []),
	]);
}

function unwrapped(schema: z.ZodType): z.ZodType {
	const { innerType } = (schema as unknown as { _zod: { def: { innerType?: z.ZodType } } })._zod.def;
	return innerType === undefined ? schema : unwrapped(innerType);
}

test("every member of an operation is a flag or an operand of its command, and nothing else is", () => {
	for (const { command, path } of operationRows) {
		const { query, body, path: inPath }: Operation = operations[command.operation];
		const flags = command.flags ?? [];
		const given = [...flags, ...(command.operands ?? [])].map(({ member }) => member);
		const takesFile = flags.some((flag) => flag.as === "yaml-file");
		const inBody = membersOf(body);
		const known = [...Object.keys(query.shape), ...Object.keys(inPath.shape), ...inBody];
		for (const member of given) assert.ok(member === "" || known.includes(member), `${path.join(" ")}: ${member}`);
		const needed = [...Object.keys(query.shape), ...(takesFile ? [] : inBody.filter((name) => !name.includes(".")))];
		const missing = needed.filter((name) => !given.some((member) => member === name || member.startsWith(`${name}.`)));
		assert.deepEqual(missing, [], path.join(" "));
	}
});

test("a flag of fixed values has those of the operation", () => {
	for (const { command, path } of operationRows) {
		const { query, body }: Operation = operations[command.operation];
		const shapes = [query, body === null ? null : unwrapped(body)].filter((each) => each instanceof z.ZodObject);
		for (const { member, choices, name } of command.flags ?? []) {
			const schema = shapes.map((each) => each.shape[member]).find((each) => each !== undefined);
			const inner = schema === undefined ? undefined : unwrapped(schema as z.ZodType);
			if (inner instanceof z.ZodEnum) assert.deepEqual(choices, inner.options, `${path.join(" ")} ${name}`);
		}
	}
});
