import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { TEMPLATES } from "./create.ts";

const program = join(import.meta.dirname, "../../../bin/vouch");
const directory = mkdtempSync(join(tmpdir(), "vouch-create-"));
after(() => rmSync(directory, { recursive: true, force: true }));

function create(...args: readonly string[]) {
	return spawnSync(program, ["create", ...args], { cwd: directory, encoding: "utf8" });
}

function filesBelow(folder: string): readonly string[] {
	return (readdirSync(folder, { recursive: true, encoding: "utf8" }) as string[])
		.filter((name) => statSync(join(folder, name)).isFile())
		.sort();
}

for (const template of TEMPLATES) {
	test(`${template}: a whole project, called by its name throughout`, () => {
		const name = `my-${template}`;
		const made = create(name, "--template", template, "--json");
		assert.equal(made.status, 0, made.stderr);
		const folder = join(directory, name);
		const files = filesBelow(folder);
		assert.deepEqual(files, JSON.parse(made.stdout).files);
		for (const needed of ["Dockerfile", "README.md", "vouch-image.yaml"]) assert.ok(files.includes(needed), needed);
		for (const file of files) assert.ok(!readFileSync(join(folder, file), "utf8").includes("{{name}}"), file);
		const readme = readFileSync(join(folder, "README.md"), "utf8");
		for (const command of ["vouch image build .", `vouch run --image ${name}`, `vouch image rebuild ${name}`]) {
			assert.ok(readme.includes(command), command);
		}
	});
}

test("what is there is never touched, and a refusal leaves nothing", () => {
	mkdirSync(join(directory, "taken"));
	writeFileSync(join(directory, "taken/mine"), "mine");
	mkdirSync(join(directory, "half.making"));
	writeFileSync(join(directory, "half.making/mine"), "mine");
	const before = readdirSync(directory);
	const refusals: readonly (readonly [readonly string[], RegExp])[] = [
		[["taken", "--template", "c"], /cli\.create-exists/],
		[["half", "--template", "c"], /cli\.create-failed/],
		[["../outside", "--template", "c"], /can't be the name of a project/],
		[["Big", "--template", "c"], /can't be the name of a project/],
		[["go", "--template", "go"], /is taken/],
		[["fine"], /--template is needed/],
		[["fine", "--template", "cobol"], /cobol/],
	];
	for (const [args, expected] of refusals) {
		const { status, stderr } = create(...args);
		assert.equal(status, 125);
		assert.match(stderr, expected);
	}
	assert.deepEqual(readdirSync(directory), before);
	assert.equal(readFileSync(join(directory, "taken/mine"), "utf8"), "mine");
	assert.equal(readFileSync(join(directory, "half.making/mine"), "utf8"), "mine");
});
