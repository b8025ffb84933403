import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readContent } from "./content.ts";

/** What finds its way under a name between the listing and the reading: the walk saw a file there a moment ago. */
const home = mkdtempSync(join(tmpdir(), "vouch-content-"));
const folderFd = openSync(home, constants.O_RDONLY | constants.O_DIRECTORY);
after(() => {
	closeSync(folderFd);
	rmSync(home, { recursive: true });
});

test("a file that became a link is not followed", () => {
	writeFileSync(join(home, "secret"), "s3cret");
	symlinkSync("secret", join(home, "link"));
	assert.equal(readContent(folderFd, "link").problem, "changed-while-read");
	assert.equal(readContent(folderFd, "secret").problem, null);
});

test("a file that became a pipe or a folder is neither waited for nor read", () => {
	execFileSync("mkfifo", [join(home, "pipe")]);
	execFileSync("mkdir", [join(home, "folder")]);
	assert.equal(readContent(folderFd, "pipe").problem, "changed-while-read");
	assert.equal(readContent(folderFd, "folder").problem, "changed-while-read");
});

test("a file that is gone is said to be", () => {
	assert.equal(readContent(folderFd, "nothing").problem, "vanished");
});
