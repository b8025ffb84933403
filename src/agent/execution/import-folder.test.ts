import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
	existsSync,
	lstatSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	readlinkSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { importInto } from "./import-folder.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-import-"));
after(() => rmSync(home, { recursive: true, force: true }));
const projects = join(home, "projects");
mkdirSync(join(projects, "app/bin"), { recursive: true });
writeFileSync(join(projects, "app/bin/run"), "#!/bin/sh\n", { mode: 0o755 });
writeFileSync(join(home, "secret"), "no");
mkdirSync(join(home, "projects-of-others"));
symlinkSync(join(home, "secret"), join(projects, "app/link"));
symlinkSync(home, join(projects, "way-out"));
spawnSync("mkfifo", [join(projects, "app/pipe")]);

let count = 0;
function facility(): string {
	const path = join(home, `facility-${++count}`);
	mkdirSync(path);
	return path;
}

test("a folder is copied with its modes and links; pipes are left out, and the original stays", async () => {
	const at = facility();
	await importInto(at, join(projects, "app"), [projects]);
	assert.equal(readFileSync(join(at, "bin/run"), "utf8"), "#!/bin/sh\n");
	assert.equal(lstatSync(join(at, "bin/run")).mode & 0o777, 0o755);
	assert.equal(readlinkSync(join(at, "link")), join(home, "secret"), "a link stays one: nothing is read through it");
	assert.ok(!existsSync(join(at, "pipe")));
	writeFileSync(join(at, "bin/run"), "changed");
	assert.equal(readFileSync(join(projects, "app/bin/run"), "utf8"), "#!/bin/sh\n");
});

for (const [what, path, importable, why] of [
	["a folder that nobody named", home, [projects], /lets nobody import from there/],
	["one whose name begins alike", join(home, "projects-of-others"), [projects], /lets nobody import from there/],
	["one behind a link", join(projects, "way-out"), [projects], /lets nobody import from there/],
	["one by dots", `${projects}/../secret/..`, [projects], /lets nobody|no such folder/],
	["any, when none is named", projects, [], /lets nobody import from there/],
	["a file", join(home, "secret"), [home], /no such folder/],
	["what is not there", join(home, "nothing"), [home], /no such folder/],
	["a relative path", "projects", [home], /no absolute path/],
	["the folder that holds the facility", home, [home], /the facility itself lies in it/],
] as const) {
	test(`${what} is refused`, async () => {
		await assert.rejects(importInto(facility(), path, importable), { code: "not-prepared", message: why });
	});
}
