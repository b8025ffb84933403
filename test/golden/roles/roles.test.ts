import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { type Operation, operations } from "../../../src/api/index.ts";
import { ROLES } from "../../../src/api/people/schema.ts";

const PATH = join(import.meta.dirname, "roles.txt");
/** Set to 1, the table is written instead of compared: look at what `git diff` then says. */
const UPDATE = "VOUCH_UPDATE_GOLDEN";
const CALLERS = [...ROLES, "territory", "directive", "anyone"] as const;

/** One line for each operation: who may call it. */
function table(): string {
	const rows = Object.entries<Operation>(operations).sort(([a], [b]) => (a < b ? -1 : 1));
	const width = Math.max(...rows.map(([name]) => name.length));
	const line = (name: string, cells: readonly string[]) =>
		[name.padEnd(width), ...cells.map((cell, at) => cell.padEnd(CALLERS[at]?.length ?? 0))].join("  ").trimEnd();
	const body = rows.map(([name, { callers }]) =>
		line(
			name,
			CALLERS.map((caller) => (callers.includes(caller) ? "yes" : "-")),
		),
	);
	return `${[line("operation", CALLERS), ...body].join("\n")}\n`;
}

test("who may call what is what the table of roles says, and every operation is in it", () => {
	if (process.env[UPDATE] === "1") writeFileSync(PATH, table());
	const mend = `If this is meant: ${UPDATE}=1 npm test -- test/golden/roles`;
	assert.equal(table(), readFileSync(PATH, "utf8"), `the table is not what roles.txt says. ${mend}`);
});

test("an auditor changes nothing, a member runs no fleet, and only owners and approvers approve", () => {
	for (const [name, { callers, effect }] of Object.entries<Operation>(operations)) {
		if (effect !== "read" && callers.includes("auditor")) assert.match(name, /^tokens\./, name);
		if (/^(territories|enrollmentTokens|policies|users)\./.test(name) && effect !== "read")
			assert.ok(!callers.includes("member") && !callers.includes("approver"), name);
		if (/\.(approve|reject)/.test(name)) assert.deepEqual([...callers].sort(), ["approver", "owner"], name);
		if (callers.includes("owner")) assert.ok(!callers.includes("territory") && !callers.includes("directive"), name);
	}
});
