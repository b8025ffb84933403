import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { z } from "zod";
import { FlagValues } from "../command.ts";
import { clientSettings } from "./client-settings.ts";
import { serverSettings } from "./server-settings.ts";
import { readSettings, type SettingsTable, setting } from "./settings.ts";

const directory = mkdtempSync(join(tmpdir(), "vouch-settings-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const table = {
	port: setting({
		key: "listen.port",
		flag: "--port",
		environment: "TEST_PORT",
		schema: z.coerce.number().int().max(65_535),
		standard: 3000,
		reason: "why not",
	}),
	name: setting({
		key: "name",
		flag: null,
		environment: "TEST_NAME",
		schema: z.string().min(1),
		standard: null,
		reason: "somebody must say",
	}),
} as const satisfies SettingsTable;

const noFlags = new FlagValues(new Map());

function fileOf(text: string): string {
	const path = join(directory, "settings.yaml");
	writeFileSync(path, text);
	return path;
}

test("a flag wins over a variable, that over the file, that over the default; each says where it came from", () => {
	const file = fileOf("listen: { port: 1 }\nname: file\n");
	const flags = new FlagValues(new Map([["--port", ["3"]]]));
	const from = (sources: Partial<Parameters<typeof readSettings>[1]>) => {
		const { values, effective } = readSettings(table, { file: null, flags: noFlags, environment: {}, ...sources });
		return [values.port, effective[0]?.from];
	};
	const environment = { TEST_PORT: "2", TEST_NAME: "x" };
	assert.deepEqual(from({ file, flags, environment }), [3, "--port"]);
	assert.deepEqual(from({ file, environment }), [2, "TEST_PORT"]);
	assert.deepEqual(from({ file }), [1, file]);
	assert.deepEqual(from({ environment: { TEST_NAME: "x" } }), [3000, "default"]);
});

test("every mistake is said at once: what does not fit, what is missing, what there is no setting for", () => {
	const file = fileOf("listen: { port: 70000, prot: 1 }\nnmae: x\n");
	const read = () => readSettings(table, { file, flags: noFlags, environment: {} });
	assert.throws(
		read,
		/listen\.prot .*no such setting; nmae .*no such setting; listen\.port .*; name \(set it with TEST_NAME\)/,
	);
	for (const text of ["- a list", "a: [", "text"])
		assert.throws(() => readSettings(table, { file: fileOf(text), flags: noFlags, environment: {} }), /settings\.yaml/);
});

test("every setting has a name in the file, a variable, a default that fits, and a reason; secrets have no flag", () => {
	for (const settings of [serverSettings, clientSettings] as readonly SettingsTable[]) {
		const rows = Object.values(settings);
		for (const { key, flag, environment, schema, standard, reason, secret } of rows) {
			assert.match(key, /^[a-z_]+(\.[a-z_]+)?$/);
			assert.match(environment, /^[A-Z][A-Z0-9_]*$/);
			assert.ok(reason.length > 10, key);
			if (standard !== null) assert.ok(schema.safeParse(standard).success, `the default of ${key} does not fit`);
			if (secret !== undefined) assert.equal(flag, null, key);
		}
		for (const part of ["key", "environment"] as const)
			assert.equal(new Set(rows.map((row) => row[part])).size, rows.length, `two settings share a ${part}`);
	}
});
