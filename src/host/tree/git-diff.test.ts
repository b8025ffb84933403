import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { compareTrees } from "./comparison.ts";
import { DIFF_EXIT, type DiffPlan, planWorkspaceDiff, type WorkspaceDiff } from "./git-diff.ts";
import { readGitHead } from "./git-head.ts";
import { scanTree } from "./scan.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-diff-"));
after(() => rmSync(home, { recursive: true, force: true }));
const QUIET = {
	PATH: process.env.PATH ?? "/usr/bin:/bin",
	HOME: home,
	GIT_CONFIG_NOSYSTEM: "1",
	GIT_AUTHOR_NAME: "a",
	GIT_AUTHOR_EMAIL: "a@example.com",
	GIT_COMMITTER_NAME: "a",
	GIT_COMMITTER_EMAIL: "a@example.com",
};
const git = (root: string, ...argv: string[]): string =>
	execFileSync("git", argv, { cwd: root, env: QUIET, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const put = (root: string, path: string, text: string) => {
	mkdirSync(dirname(join(root, path)), { recursive: true });
	writeFileSync(join(root, path), text);
};

function repository(files: Readonly<Record<string, string>>, ...init: string[]): string {
	const root = mkdtempSync(join(home, "ws-"));
	git(root, "init", "-q", "-b", "main", ...init);
	for (const [path, text] of Object.entries(files)) put(root, path, text);
	git(root, "add", "-A");
	git(root, "commit", "-q", "--allow-empty", "-m", "first");
	return root;
}

async function planFor(
	root: string,
	act: () => void,
	options: { at?: string; maxDiffBytes?: number } = {},
): Promise<WorkspaceDiff> {
	const head = readGitHead(root);
	const before = await scanTree(root);
	act();
	const later = await scanTree(root);
	const changes = compareTrees(before, later);
	const { at = root, maxDiffBytes = 1 << 20 } = options;
	return planWorkspaceDiff({ head, before, after: later, changes, workspace: at, maxDiffBytes });
}

/** Runs a plan right here, without any sandbox: what a hostile workspace could make git run would then run. */
function run(diff: WorkspaceDiff, wrapper: readonly string[] = []) {
	assert.equal(diff.kind, "planned", diff.kind === "none" ? diff.reason : "");
	const { argv, environment, stdin, workingDirectory } = (diff as { plan: DiffPlan }).plan;
	const [program = "", ...rest] = [...wrapper, ...argv];
	const cwd = wrapper.length > 0 ? "/" : workingDirectory;
	const result = spawnSync(program, rest, { env: environment, input: stdin, cwd, encoding: "utf8" });
	return { status: result.status, diff: result.stdout, errors: result.stderr };
}

test("the diff has edits, new, removed, renamed, mode and link changes, and applies to the commit", async () => {
	const root = repository({
		"a.txt": "one\n",
		"d/gone": "gone\n",
		"d/mode.sh": "x\n",
		"old name": "moved\n",
		kind: "file\n",
	});
	const diff = await planFor(root, () => {
		put(root, "a.txt", "two\n");
		rmSync(join(root, "d/gone"));
		execFileSync("chmod", ["755", join(root, "d/mode.sh")]);
		renameSync(join(root, "old name"), join(root, "new name"));
		put(root, 'sub dir/ü\n"quoted"', "strange\n");
		symlinkSync("/etc/passwd", join(root, "link"));
		rmSync(join(root, "kind"));
		put(root, "kind/inside", "folder now\n");
	});
	const { status, diff: text, errors } = run(diff);
	assert.equal(status, DIFF_EXIT.done, errors);
	const clone = join(home, "clone");
	git(home, "clone", "-q", root, clone);
	execFileSync("git", ["apply", "--whitespace=nowarn"], { cwd: clone, env: QUIET, input: text });
	const [wanted, got] = await Promise.all([
		scanTree(root, { exclude: [".git"] }),
		scanTree(clone, { exclude: [".git"] }),
	]);
	// mkdtemp made one of the two roots 0700.
	assert.deepEqual(
		compareTrees(wanted, got).filter(({ path }) => path !== ""),
		[],
	);
	assert.doesNotMatch(text, /root:/, "a link shows as its target, never as what it leads to");
});

test("what changed before the run, and what is ignored, stays out", async () => {
	const root = repository({ ".gitignore": "build/\n*.log\n", "a.txt": "one\n", "b.txt": "one\n", "kept.log": "" });
	git(root, "add", "-f", "kept.log");
	git(root, "commit", "-q", "-m", "tracked although ignored");
	put(root, "b.txt", "dirty before\n");
	const diff = await planFor(root, () => {
		put(root, "a.txt", "two\n");
		put(root, "build/out.js", "built\n");
		put(root, "noise.log", "noise\n");
		put(root, "kept.log", "tracked\n");
	});
	const { status, diff: text } = run(diff);
	assert.equal(status, 0);
	assert.deepEqual(
		[...text.matchAll(/^diff --git a\/(.*) b\//gm)].map(([, path]) => path),
		["a.txt", "kept.log"],
	);
});

test("nothing that a hostile workspace names is run", async () => {
	const root = repository({ "a.txt": "one\n", "b.bin": "one\n", "c.txt": "c\n" });
	const trap = join(home, "trap.sh");
	const proof = join(home, "executed");
	writeFileSync(trap, `#!/bin/sh\necho "$0 $*" >>${proof}\ncat\n`, { mode: 0o755 });
	const diff = await planFor(root, () => {
		for (const [key, value] of [
			["core.fsmonitor", trap],
			["core.hooksPath", join(root, "hooks")],
			["core.pager", trap],
			["core.editor", trap],
			["core.sshCommand", trap],
			["core.alternateRefsCommand", trap],
			["diff.external", trap],
			["diff.evil.command", trap],
			["diff.evil.textconv", trap],
			["diff.evil.cachetextconv", "true"],
			["filter.evil.clean", trap],
			["filter.evil.smudge", trap],
			["filter.evil.process", trap],
			["filter.evil.required", "true"],
			["merge.evil.driver", trap],
			["interactive.diffFilter", trap],
			["gpg.program", trap],
			["credential.helper", `!${trap}`],
			["uploadpack.packObjectsHook", trap],
			["remote.origin.promisor", "true"],
			["remote.origin.partialclonefilter", "blob:none"],
			["remote.origin.url", `ext::${trap}`],
			["protocol.ext.allow", "always"],
			["alias.diff-index", `!${trap}`],
			["trace2.normalTarget", proof],
		] as const)
			git(root, "config", key, value);
		put(root, ".gitattributes", "* diff=evil filter=evil merge=evil\n");
		put(root, ".git/info/attributes", "* diff=evil filter=evil\n");
		put(root, ".git/objects/info/alternates", "/nonexistent/objects\n");
		for (const hook of ["post-index-change", "pre-commit", "fsmonitor-watchman"]) {
			for (const folder of ["hooks", ".git/hooks"]) {
				put(root, `${folder}/${hook}`, `#!/bin/sh\n${trap}\n`);
				execFileSync("chmod", ["755", join(root, folder, hook)]);
			}
		}
		put(root, "a.txt", "two\n");
		put(root, "new.txt", "new\n");
	});
	const { status, diff: text, errors } = run(diff);
	assert.equal(status, 0, errors);
	assert.match(text, /^\+two$/m);
	assert.match(text, /^\+new$/m);
	assert.equal(existsSync(proof), false, "something ran");
	// The trap works: git run in the plain way walks right into it, so the test can fail.
	spawnSync("git", ["diff"], { cwd: root, env: QUIET });
	assert.equal(existsSync(proof), true);
});

test("a planted .git does not hide what is beside it; an older embedded repository is left out and counted", async () => {
	const root = repository({ "src/a": "one\n" });
	put(root, "vendor/.git/HEAD", "ref: refs/heads/main\n");
	const diff = await planFor(root, () => {
		put(root, "src/.git", "gitdir: /nonexistent\n");
		put(root, "src/a", "two\n");
		put(root, "src/b", "new\n");
		put(root, "vendor/x", "theirs\n");
	});
	const { status, diff: text, errors } = run(diff);
	assert.equal(status, 0, errors);
	assert.match(text, /^\+two$/m);
	assert.match(text, /^\+new$/m);
	assert.doesNotMatch(text, /theirs/);
	assert.equal(diff.kind === "planned" && diff.plan.leftOut, 2);
});

test("HEAD is the one before the run: commits made by the run show in the diff", async () => {
	const root = repository({ a: "one\n" });
	const diff = await planFor(root, () => {
		put(root, "a", "two\n");
		git(root, "commit", "-qam", "hidden by the workload");
		git(root, "gc", "-q");
	});
	assert.match(run(diff).diff, /^-one\n\+two$/m);
});

test("a diff past the limit is refused whole", async () => {
	const root = repository({ a: "one\n" });
	const diff = await planFor(root, () => put(root, "a", "long line\n".repeat(1000)), { maxDiffBytes: 5000 });
	const { status, diff: text } = run(diff);
	assert.deepEqual({ status, text }, { status: DIFF_EXIT.tooLarge, text: "" });
});

test("a branch without commits, packed refs, a detached HEAD, SHA-256 and a linked worktree are read", async () => {
	const unborn = mkdtempSync(join(home, "ws-"));
	git(unborn, "init", "-q");
	assert.match(run(await planFor(unborn, () => put(unborn, "a", "first\n"))).diff, /^\+first$/m);

	const packed = repository({ a: "one\n" });
	git(packed, "pack-refs", "--all");
	assert.match(run(await planFor(packed, () => put(packed, "a", "two\n"))).diff, /^\+two$/m);
	git(packed, "checkout", "-q", "--detach");
	assert.match(run(await planFor(packed, () => put(packed, "a", "three\n"))).diff, /^\+three$/m);

	const sha256 = repository({ a: "one\n" }, "--object-format=sha256");
	assert.match(run(await planFor(sha256, () => put(sha256, "a", "two\n"))).diff, /^\+two$/m);

	const linked = join(home, "linked");
	git(packed, "worktree", "add", "-q", linked, "HEAD");
	const diff = await planFor(linked, () => put(linked, "a", "in the worktree\n"));
	assert.deepEqual(diff.kind === "planned" && diff.plan.readOnlyFolders, [join(packed, ".git/objects")]);
	assert.match(run(diff).diff, /^\+in the worktree$/m);
});

test("a .git that points to a repository of choice is not believed", () => {
	const victim = repository({ secret: "s3cret\n" });
	const thief = mkdtempSync(join(home, "ws-"));
	const refused = (): string => {
		const head = readGitHead(thief);
		return head.kind === "none" ? head.reason : "believed";
	};
	put(thief, ".git", `gitdir: ${victim}/.git\n`);
	assert.match(refused(), /does not point back/);
	rmSync(join(thief, ".git"));
	symlinkSync(join(victim, ".git"), join(thief, ".git"));
	assert.match(refused(), /no \.git folder/);
	rmSync(join(thief, ".git"));
	put(thief, ".git/HEAD", git(victim, "rev-parse", "HEAD"));
	put(thief, ".git/commondir", `${victim}/.git\n`);
	symlinkSync(join(victim, ".git/objects"), join(thief, ".git/objects"));
	assert.match(refused(), /no objects folder/);
	rmSync(join(thief, ".git"), { recursive: true });
	execFileSync("mkfifo", [join(thief, ".git")]);
	assert.match(refused(), /no \.git folder/);
});

test("odd HEADs are refused, not followed", () => {
	const root = repository({ a: "1\n" });
	for (const text of [
		"ref: ../../../etc/passwd\n",
		"ref: refs/heads/../../config\n",
		"ref: HEAD\n",
		"garbage",
		"",
		"ref: refs/heads/.invalid\n",
	]) {
		put(root, ".git/HEAD", text);
		assert.equal(readGitHead(root).kind, "none", JSON.stringify(text));
	}
	assert.equal(readGitHead(home).kind, "none");
});

const bwrap = spawnSync("bwrap", ["--ro-bind", "/", "/", "--unshare-all", "true"]).status === 0;
test("the plan runs in a sandbox with the workspace read-only", {
	skip: bwrap ? false : "bwrap can't make a sandbox here",
}, async () => {
	const root = repository({ a: "one\n" });
	const diff = await planFor(root, () => put(root, "a", "two\n"), { at: "/workspace" });
	const view = ["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"];
	const rest = [
		"--symlink",
		"usr/lib64",
		"/lib64",
		"--dev",
		"/dev",
		"--tmpfs",
		"/tmp",
		"--ro-bind",
		root,
		"/workspace",
	];
	const {
		status,
		diff: text,
		errors,
	} = run(diff, ["/usr/bin/bwrap", "--unshare-all", ...view, ...rest, "--chdir", "/workspace"]);
	assert.equal(status, 0, errors);
	assert.match(text, /^-one\n\+two$/m);
});
