import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { files, root, textOf } from "./tree.ts";

const manifest: {
	bin: Record<string, string>;
	files: string[];
	scripts: Record<string, string>;
	license: string;
} = JSON.parse(textOf("package.json"));

/** Shell scripts: by their first line, since they have no ending. */
const shell = files.filter((path) => /^(?:scripts|bin|\.ci)\/[\w-]+$/.test(path));

test("shell scripts can be run and parse", () => {
	assert.ok(shell.includes("scripts/setup") && shell.includes(".ci/run") && shell.includes("bin/vouch"));
	for (const path of shell) {
		const interpreter = /^#!(?:\/usr\/bin\/env bash|\/bin\/(sh))\n/.exec(textOf(path));
		assert.ok(interpreter !== null, `${path} does not say what runs it`);
		accessSync(join(root, path), constants.X_OK);
		const { status, stderr } = spawnSync(interpreter[1] ?? "bash", ["-n", path], { cwd: root, encoding: "utf8" });
		assert.equal(status, 0, stderr);
	}
});

test("bash scripts stop at the first failure", () => {
	const careless = shell.filter((path) => /env bash/.test(textOf(path)) && !/^set -euo pipefail$/m.test(textOf(path)));
	assert.deepEqual(careless, []);
});

test("every npm script calls a script that is there", () => {
	for (const [name, command] of Object.entries(manifest.scripts)) {
		const called = /^bash (scripts\/\w+)$/.exec(command)?.[1];
		if (called !== undefined) assert.ok(existsSync(join(root, called)), `npm run ${name} calls ${called}`);
	}
	for (const name of ["start", "test", "ok", "bench", "build"])
		assert.equal(manifest.scripts[name], `bash scripts/${name}`);
});

test("CI runs npm test", () => {
	assert.match(textOf(".ci/run"), /^exec npm test\b/m);
});

test("what the package is said to hold is there, but for what the build makes", () => {
	const missing = manifest.files.filter((path) => !["dist", "build"].includes(path) && !existsSync(join(root, path)));
	assert.deepEqual(missing, []);
	for (const path of Object.values(manifest.bin)) assert.ok(existsSync(join(root, path)), path);
});

test("the licence is MIT", () => {
	assert.equal(manifest.license, "MIT");
	assert.match(textOf("LICENSE"), /^MIT License\n\nCopyright \(c\) \d{4} Vouch contributors\n/);
});
