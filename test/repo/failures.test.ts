import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";
import type { FailureRow } from "../../src/core/index.ts";
import { files, root } from "./tree.ts";

const paths = files.filter((path) => /^src\/.*failures\.ts$/.test(path));

async function rowsOf(path: string): Promise<readonly (readonly [string, FailureRow])[]> {
	const loaded: Record<string, unknown> = await import(pathToFileURL(join(root, path)).href);
	return Object.values(loaded).flatMap((value) => {
		const table = isTable(value) ? value : isHolder(value) ? value.table : undefined;
		return table === undefined ? [] : Object.entries(table);
	});
}

const isRow = (value: unknown): value is FailureRow =>
	typeof value === "object" && value !== null && "sentence" in value;
const isTable = (value: unknown): value is Record<string, FailureRow> =>
	typeof value === "object" && value !== null && Object.values(value).length > 0 && Object.values(value).every(isRow);
const isHolder = (value: unknown): value is { table: Record<string, FailureRow> } =>
	typeof value === "object" && value !== null && "table" in value && isTable(value.table);

const tables = await Promise.all(paths.map(async (path) => ({ path, rows: await rowsOf(path) })));

test("every failures.ts holds a table", () => {
	assert.ok(tables.length > 0);
	assert.deepEqual(
		tables.filter(({ rows }) => rows.length === 0).map(({ path }) => path),
		[],
	);
});

test("no two failures share a code", () => {
	const codes = tables.flatMap(({ path, rows }) => rows.map(([code]) => ({ code, path })));
	const repeated = [...Map.groupBy(codes, ({ code }) => code)].filter(([, group]) => group.length > 1);
	assert.deepEqual(repeated, []);
	assert.deepEqual(
		// Codes of the node protocol are in capitals, as the protocol has them.
		codes.filter(({ code }) => !/^[a-z0-9-]+(?:\.[a-z0-9-]+)*$|^[A-Z][A-Z0-9_]*$/.test(code)),
		[],
		"neither kebab-case nor a code of the protocol",
	);
});

for (const { path, rows } of tables) {
	for (const [code, row] of rows) {
		test(`${path}: ${code}`, () => {
			// A row that is one detail alone gets its whole sentence, full stop and all, from where it is made.
			if (/^\{\w+\}$/.test(row.sentence)) return;
			assert.match(row.sentence, /^[A-Z{]/, "begins with a capital letter");
			assert.match(row.sentence, /[.}]$/, "ends with a full stop");
			assert.ok(row.status >= 400 && row.status <= 599, `status ${row.status} is no failure`);
			assert.match(row.sentence, /[.;:!?}] \S/, "says what to do after what was wrong");
		});
	}
}
