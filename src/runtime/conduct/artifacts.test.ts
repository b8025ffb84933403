import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { digestOf } from "../../core/index.ts";
import { scanTree } from "../../host/index.ts";
import { ARTIFACT_LIMITS, type Workload } from "../schema.ts";
import { collectArtifacts } from "./artifacts.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-test-collect-"));
after(() => rmSync(home, { recursive: true, force: true }));

let folders = 0;
function newFolder(): string {
	folders += 1;
	const path = join(home, String(folders));
	mkdirSync(path);
	return path;
}

async function collected(workspace: string, ...artifacts: string[]) {
	const folder = join(newFolder(), "artifacts");
	const found = await collectArtifacts({ artifacts } as unknown as Workload, await scanTree(workspace), folder);
	return { ...(found ?? assert.fail("they were asked for")), kept: readdirSync(folder) };
}

test("the same bytes under two names are two artifacts and one copy; links and odd names are left out and said", async () => {
	const workspace = newFolder();
	for (const name of ["b", "a", "not asked.for"]) writeFileSync(join(workspace, name), "same");
	writeFileSync(join(workspace, "c\n"), "odd");
	symlinkSync("a", join(workspace, "link"));
	const { files, notes, kept } = await collected(workspace, "?", "link", "c*");
	const same = { bytes: 4, digest: digestOf("same") };
	assert.deepEqual(files, [
		{ name: "a", ...same },
		{ name: "b", ...same },
	]);
	assert.deepEqual(kept, [same.digest.slice("sha256:".length)]);
	assert.deepEqual(notes, [
		"the artifact c\\x0a was left out: its name is not plain text",
		"the artifact link was left out: it is a symlink, not a file",
	]);
});

test("too many and too large are left out, the first ones by name are kept, and a long list of reasons is cut", async () => {
	const workspace = newFolder();
	for (let at = 0; at < ARTIFACT_LIMITS.files + 30; at++) writeFileSync(join(workspace, `f${10_000 + at}`), "x");
	const { files, notes } = await collected(workspace, "**");
	assert.deepEqual(
		[files.length, files.at(-1)?.name],
		[ARTIFACT_LIMITS.files, `f${10_000 + ARTIFACT_LIMITS.files - 1}`],
	);
	assert.equal(notes.length, 21);
	assert.match(notes[0] ?? "", /f11000 was left out: there are 1000 already/);
	assert.equal(notes[20], "10 more were left out");
	const large = newFolder();
	for (const name of ["a", "z"]) writeFileSync(join(large, name), "small");
	writeFileSync(join(large, "b"), "");
	truncateSync(join(large, "b"), ARTIFACT_LIMITS.bytes);
	const rest = await collected(large, "*");
	assert.deepEqual(
		rest.files.map(({ name }) => name),
		["a", "z"],
	);
	assert.deepEqual(rest.notes, ["the artifact b was left out: all together would have more than 256 MiB"]);
});

test("where nothing can be written, the run is not lost for it", async () => {
	const workspace = newFolder();
	writeFileSync(join(workspace, "a"), "a");
	const workload = { artifacts: ["a"] } as unknown as Workload;
	const found = await collectArtifacts(workload, await scanTree(workspace), join(workspace, "a", "no folder"));
	assert.deepEqual(found, { files: [], notes: ["the artifact a was left out: it could not be copied (ENOTDIR)"] });
});
