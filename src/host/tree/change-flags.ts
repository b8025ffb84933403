import { posix } from "node:path";
import type { TreeChange } from "../../evidence/schema.ts";
import { printablePath, rawOfPath, rawOfText } from "./path-text.ts";
import type { TreeSnapshot } from "./snapshot.ts";

type Flag = TreeChange["flags"][number];

interface ChangeInContext {
	readonly path: string;
	readonly change: TreeChange["change"];
	readonly before: TreeSnapshot;
	readonly after: TreeSnapshot;
}

/** Folders whose files git, or a hook manager that a repository already trusts, runs on the host later. */
const HOOK_PATHS: readonly RegExp[] = [
	/(?:^|\/)\.git\/(?:.*\/)?hooks(?:\/|$)/,
	/(?:^|\/)\.(?:husky|githooks|git-hooks|lefthook|lefthook-local|overcommit)(?:\/|$)/,
	/(?:^|\/)\.?lefthook(?:-local)?\.(?:ya?ml|toml|json)$/,
	/(?:^|\/)\.(?:pre-commit-config\.yaml|pre-commit-hooks\.yaml|overcommit\.yml|huskyrc[^/]*|simple-git-hooks[^/]*)$/,
];

/** Files in which git finds programs to run, objects to trust, or another repository to use instead. */
const GIT_SETTING_PATHS: readonly RegExp[] = [
	/(?:^|\/)\.git$/,
	/(?:^|\/)\.git\/(?:.*\/)?(?:config|config\.worktree|commondir|gitdir)$/,
	/(?:^|\/)\.git\/(?:.*\/)?info\/(?:attributes|exclude|grafts|alternates|http-alternates)$/,
	/(?:^|\/)\.(?:gitmodules|gitattributes|gitconfig)$/,
];

/** What may run from here, as `governance` reads it: a run that rewrites it would widen the next one. */
const POLICY_PATH = /(?:^|\/)vouch\.policy\.yaml$/;

/** A folder with these is a repository to git, whatever its name: `git status` in it obeys its `config`. */
const BARE_REPOSITORY = ["HEAD", "objects", "refs"] as const;

export function flagsOf(context: ChangeInContext): Flag[] {
	const { path, change, after } = context;
	const entry = after.entries.get(path);
	const flags: Flag[] = [];
	if (isHook(context)) flags.push("git-hook");
	if (isGitSetting(context)) flags.push("git-config");
	if (POLICY_PATH.test(path)) flags.push("policy");
	if (entry?.type === "file" && (entry.mode & 0o6000) !== 0) flags.push("setuid");
	if (entry?.type === "symlink" && change !== "mode" && leadsOutside(path, after)) flags.push("symlink-outside");
	if (entry?.type === "file" && (entry.mode & 0o111) !== 0) flags.push("executable");
	return flags;
}

function isHook({ path, before, after }: ChangeInContext): boolean {
	const folders = [...before.git.hookFolders, ...after.git.hookFolders];
	const configured = folders.some((folder) => folder === "" || path === folder || path.startsWith(`${folder}/`));
	return (
		configured || HOOK_PATHS.some((pattern) => pattern.test(path)) || inBareRepository(path, /^hooks(?:\/|$)/, after)
	);
}

function isGitSetting({ path, before, after }: ChangeInContext): boolean {
	const included = before.git.settingFiles.includes(path) || after.git.settingFiles.includes(path);
	const named = GIT_SETTING_PATHS.some((pattern) => pattern.test(path));
	return included || named || inBareRepository(path, /^(?:config|config\.worktree|commondir)$/, after);
}

function inBareRepository(path: string, rest: RegExp, after: TreeSnapshot): boolean {
	const parts = path.split("/");
	// `config` and `hooks` stand one or two levels below their repository; deeper hooks are listed with their folder.
	return [1, 2].some((depth) => {
		if (parts.length < depth || !rest.test(parts.slice(-depth).join("/"))) return false;
		const folder = parts.slice(0, -depth);
		return BARE_REPOSITORY.every((name) => after.entries.has([...folder, name].join("/")));
	});
}

/** As many as the kernel follows: fs/namei.c MAXSYMLINKS. */
const MAX_LINKS = 40;

/**
 * Whether following a link leaves the folder: through `..`, an absolute target, or another link on the way. Absolute
 * targets are judged as the host sees them, so `/workspace/…`, which only exists inside a sandbox, leads outside.
 */
function leadsOutside(path: string, tree: TreeSnapshot): boolean {
	const root = rawOfText(tree.root);
	let folder: string[] = [];
	let ahead = rawOfPath(path).split("/");
	for (let links = 0; ahead.length > 0; ) {
		const part = ahead.shift() ?? "";
		if (part === "" || part === ".") continue;
		if (part === "..") {
			if (folder.pop() === undefined) return true;
			continue;
		}
		const here = [...folder, part];
		const entry = tree.entries.get(printablePath(here.join("/")));
		if (entry?.type !== "symlink" || entry.target === null) {
			folder = here;
			continue;
		}
		links += 1;
		const target = rawOfPath(entry.target);
		// A ring of links leads nowhere.
		if (links > MAX_LINKS) return false;
		if (posix.isAbsolute(target)) {
			const below = posix.relative(root, target);
			if (below === ".." || below.startsWith("../")) return true;
			folder = [];
			ahead = [...below.split("/"), ...ahead];
		} else ahead = [...target.split("/"), ...ahead];
	}
	return false;
}
