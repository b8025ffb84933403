import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { REGENERATE, referencePages } from "../../scripts/reference.ts";

const root = join(import.meta.dirname, "../..");
const pages = await referencePages();

for (const [path, text] of pages) {
	test(`${path} is up to date`, () => {
		const written = existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : "";
		assert.equal(written, text, `${path} is not what the tables say now. Run: ${REGENERATE}`);
	});
}

test("no page says it is written by the script that the script doesn't write", () => {
	const directory = join(root, "docs/reference");
	const claimed = readdirSync(directory)
		.map((name) => `docs/reference/${name}`)
		.filter((path) => readFileSync(join(root, path), "utf8").includes("Written by scripts/reference.ts"));
	assert.deepEqual(
		claimed.filter((path) => !pages.has(path)),
		[],
	);
});

test("the pages hold every command, flag and failure once, and no empty cell where words belong", () => {
	const commands = pages.get("docs/reference/commands.md") ?? "";
	assert.equal(commands.match(/^## vouch /gm)?.length, commands.match(/^\| \[`vouch /gm)?.length);
	const failures = pages.get("docs/reference/failures.md") ?? "";
	const codes = [...failures.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]);
	assert.ok(codes.length > 20, `${codes.length} failures`);
	assert.deepEqual(codes, [...new Set(codes)]);
	const hollow = [...pages].filter(([, text]) => /undefined|\[object|\|\s*\|$/m.test(text)).map(([path]) => path);
	assert.deepEqual(hollow, []);
});

test("the schema of the receipt names every part of the file and the statement", () => {
	const schema: { properties: object; $defs: { statement: { properties: object } } } = JSON.parse(
		pages.get("docs/reference/receipt.schema.json") ?? "",
	);
	assert.deepEqual(Object.keys(schema.properties), ["mediaType", "envelope", "journal", "publicKey"]);
	assert.deepEqual(Object.keys(schema.$defs.statement.properties), ["_type", "subject", "predicateType", "predicate"]);
});
