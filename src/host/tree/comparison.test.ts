import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { compareTrees } from "./comparison.ts";
import { scanTree } from "./scan.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-compare-"));
after(() => rmSync(home, { recursive: true, force: true }));

/** What `compareTrees` says of a folder before and after `act`, one line for each change. */
async function changesOf(prepare: (root: string) => void, act: (root: string) => void): Promise<string[]> {
	const root = mkdtempSync(join(home, "ws-"));
	prepare(root);
	const before = await scanTree(root);
	act(root);
	const changes = compareTrees(before, await scanTree(root));
	return changes.map(({ path, change, flags }) => [path, change, ...flags].join(" "));
}

function put(root: string, path: string, text = "x", mode = 0o644): void {
	mkdirSync(dirname(join(root, path)), { recursive: true });
	writeFileSync(join(root, path), text);
	chmodSync(join(root, path), mode);
}

test("each kind of change is named, sorted by bytes, folders only for themselves", async () => {
	const changes = await changesOf(
		(root) => {
			for (const path of ["same", "edited", "gone", "mode", "kind", "d/inner", "old/a", "old/b"]) put(root, path);
		},
		(root) => {
			put(root, "edited", "y");
			rmSync(join(root, "gone"));
			chmodSync(join(root, "mode"), 0o600);
			rmSync(join(root, "kind"));
			mkdirSync(join(root, "kind"));
			put(root, "d/inner", "z");
			rmSync(join(root, "old"), { recursive: true });
			put(root, "new/deep/file");
			put(root, "Zebra");
			put(root, "é");
		},
	);
	assert.deepEqual(changes, [
		"Zebra added",
		"d/inner modified",
		"edited modified",
		"gone removed",
		"kind type",
		"mode mode",
		"new added",
		"new/deep added",
		"new/deep/file added",
		"old removed",
		"old/a removed",
		"old/b removed",
		"é added",
	]);
});

test("nothing changed, nothing listed", async () => {
	assert.deepEqual(
		await changesOf(
			(root) => put(root, "a"),
			() => {},
		),
		[],
	);
});

const PLANTED: readonly (readonly [path: string, flags: string])[] = [
	[".git/hooks/post-checkout", "git-hook"],
	[".git/modules/lib/hooks/pre-commit", "git-hook"],
	["vendor/lib/.git/hooks/pre-push", "git-hook"],
	[".husky/pre-commit", "git-hook"],
	["lefthook.yml", "git-hook"],
	[".pre-commit-config.yaml", "git-hook"],
	[".git/config", "git-config"],
	[".git/config.worktree", "git-config"],
	[".git/worktrees/w/commondir", "git-config"],
	[".git/objects/info/alternates", "git-config"],
	[".git/info/attributes", "git-config"],
	["sub/.git", "git-config"],
	["sub/.gitattributes", "git-config"],
	[".gitmodules", "git-config"],
	["vouch.policy.yaml", "policy"],
	["sub/vouch.policy.yaml", "policy"],
	["src/config", ""],
	["src/hooks/use-thing.ts", ""],
	["my.git/notes", ""],
];

for (const [path, flags] of PLANTED) {
	test(`planting ${path} is flagged: ${flags || "nothing"}`, async () => {
		const changes = await changesOf(
			() => {},
			(root) => put(root, path),
		);
		assert.equal(changes.at(-1), `${path} added${flags === "" ? "" : ` ${flags}`}`);
	});
}

test("a hooks folder and included settings named in .git/config count too", async () => {
	const changes = await changesOf(
		(root) => put(root, ".git/config", '[core]\n\thooksPath = "tools/git hooks" \n[include]\n\tpath = ../shared.cfg\n'),
		(root) => {
			put(root, "tools/git hooks/pre-commit", "#!/bin/sh\n", 0o755);
			put(root, "shared.cfg");
			put(root, "tools/other");
		},
	);
	assert.deepEqual(changes, [
		"shared.cfg added git-config",
		"tools added",
		"tools/git hooks added git-hook",
		"tools/git hooks/pre-commit added git-hook executable",
		"tools/other added",
	]);
});

test("a hooks folder that the run itself configured counts", async () => {
	const changes = await changesOf(
		(root) => put(root, ".git/config", "[core]\n"),
		(root) => {
			put(root, ".git/config", "[core] hooksPath=build\n");
			put(root, "build/pre-commit");
		},
	);
	assert.deepEqual(changes, [
		".git/config modified git-config",
		"build added git-hook",
		"build/pre-commit added git-hook",
	]);
});

test("a bare repository under an innocent name is recognised", async () => {
	const changes = await changesOf(
		() => {},
		(root) => {
			for (const path of ["docs/HEAD", "docs/objects/x", "docs/refs/x", "docs/config", "docs/hooks/post-checkout"])
				put(root, path);
		},
	);
	const flagged = changes.filter((line) => line.includes("git-"));
	assert.deepEqual(flagged, [
		"docs/config added git-config",
		"docs/hooks added git-hook",
		"docs/hooks/post-checkout added git-hook",
	]);
});

test("setuid and executable files are flagged, setgid folders are not", async () => {
	const changes = await changesOf(
		(root) => {
			put(root, "tool");
			put(root, "plain", "x", 0o755);
			mkdirSync(join(root, "shared"));
		},
		(root) => {
			chmodSync(join(root, "tool"), 0o4755);
			chmodSync(join(root, "plain"), 0o644);
			execFileSync("chmod", ["2775", join(root, "shared")]);
			put(root, "run.sh", "#!", 0o700);
		},
	);
	assert.deepEqual(changes, ["plain mode", "run.sh added executable", "shared mode", "tool mode setuid executable"]);
});

const LINKS: readonly (readonly [target: string, inside: boolean])[] = [
	["file", true],
	["../d/file", true],
	["../../etc", false],
	["../d/../..", false],
	["/etc/passwd", false],
	["/workspace/d/file", false],
	["up/../..", false],
	["self", true],
	["down/../../x", true],
	["down/../../../../x", false],
];

for (const [target, inside] of LINKS) {
	test(`a link to ${target} leads ${inside ? "nowhere bad" : "outside"}`, async () => {
		const changes = await changesOf(
			(root) => {
				put(root, "d/file");
				put(root, "d/e/f/g");
				symlinkSync("..", join(root, "d/up"));
				symlinkSync("e/f", join(root, "d/down"));
				symlinkSync("self", join(root, "d/self"));
			},
			(root) => symlinkSync(target, join(root, "d/new")),
		);
		assert.deepEqual(changes, [`d/new added${inside ? "" : " symlink-outside"}`]);
	});
}

test("an absolute link into the folder itself stays inside", async () => {
	const changes = await changesOf(
		(root) => put(root, "a"),
		(root) => symlinkSync(join(root, "a"), join(root, "b")),
	);
	assert.deepEqual(changes, ["b added"]);
});
