import type { TreeChange } from "../../evidence/schema.ts";
import type { GitHead } from "./git-head.ts";
import { rawOfPath } from "./path-text.ts";
import type { TreeSnapshot } from "./snapshot.ts";

/**
 * A unified diff of what a run changed, without running git where the workspace could reach the host. The plan runs
 * inside a sandbox: workspace read-only, no network. There a fresh repository borrows the workspace's objects and none of
 * its settings, so `core.fsmonitor`, hooks, filters, external diff and textconv programs have no name to be run by.
 */
export type WorkspaceDiff =
	| { readonly kind: "planned"; readonly plan: DiffPlan }
	| { readonly kind: "none"; readonly reason: string };

/** Run in a sandbox that has git and coreutils and an empty writable /tmp. */
export interface DiffPlan {
	/** Starts `/bin/sh` on a constant script. Nothing from the workspace is in it: paths come by stdin. */
	readonly argv: readonly [string, ...string[]];
	/** The whole environment. */
	readonly environment: Readonly<Record<string, string>>;
	readonly stdin: Uint8Array;
	readonly workingDirectory: string;
	/** Folders outside the workspace to show read-only at their own path: the object store of a linked worktree. */
	readonly readOnlyFolders: readonly string[];
	/** Changed paths that the diff leaves out: `.git`, embedded repositories, folders, devices, what can't be read. */
	readonly leftOut: number;
}

export interface DiffRequest {
	/** From before the run: afterwards HEAD is what the workload made of it. */
	readonly head: GitHead;
	readonly before: TreeSnapshot;
	readonly after: TreeSnapshot;
	readonly changes: readonly TreeChange[];
	/** Where the sandbox shows the workspace. */
	readonly workspace: string;
	/** The diff is given whole or, when it is larger, not at all. */
	readonly maxDiffBytes: number;
}

/** Exit codes of the plan: 0 the diff is on stdout (empty when only ignored files changed), else see stderr. */
export const DIFF_EXIT = { done: 0, tooLarge: 3 } as const;

/** Arguments: commit or "", bytes of the first list on stdin, largest diff, object format. */
const SCRIPT = `
set -eu
commit=$1 present_bytes=$2 max_bytes=$3 object_format=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GIT_DIR="$work/git"
mkdir -p "$GIT_DIR/objects/info" "$GIT_DIR/refs"
echo 'ref: refs/heads/vouch' >"$GIT_DIR/HEAD"
cat >"$GIT_DIR/config" <<CONFIG
[core]
	repositoryformatversion = 1
	bare = false
	fileMode = true
	fsmonitor = false
	untrackedCache = false
	hooksPath = /dev/null
	attributesFile = /dev/null
	excludesFile = /dev/null
[extensions]
	objectFormat = $object_format
CONFIG
head -c "$present_bytes" >"$work/present"
cat >"$work/removed"
if [ -z "$commit" ]; then commit=$(git hash-object -t tree -w /dev/null); fi
git read-tree "$commit"
# 1: none is ignored. 128: a path git won't judge; then nothing is left out.
git check-ignore -z --stdin <"$work/present" >"$work/ignored" || [ $? -eq 1 ] || : >"$work/ignored"
comm -z -23 "$work/present" "$work/ignored" >"$work/listed"
git update-index -z --force-remove --stdin <"$work/removed"
git update-index -z --add --replace --stdin <"$work/listed"
git diff-index --cached --patch --full-index --no-ext-diff --no-textconv --no-color --no-renames \\
	--src-prefix=a/ --dst-prefix=b/ --submodule=short "$commit" -- >"$work/diff"
if [ "$(wc -c <"$work/diff")" -gt "$max_bytes" ]; then exit ${DIFF_EXIT.tooLarge}; fi
cat "$work/diff"
`;

/** Pure: what to run to get the diff, or why there is none. */
export function planWorkspaceDiff(request: DiffRequest): WorkspaceDiff {
	const { head, workspace } = request;
	if (head.kind === "none") return { kind: "none", reason: head.reason };
	const { present, removed, leftOut } = sortedLists(request);
	if (present.length + removed.length === 0) return { kind: "none", reason: "no file that git could show has changed" };
	const inside = head.objects.startsWith(`${request.after.root}/`);
	const objects = inside ? workspace + head.objects.slice(request.after.root.length) : head.objects;
	if (/[:"\n]/.test(objects))
		return { kind: "none", reason: "git can't be told a path with a colon, quote or newline" };
	const presentList = listOf(present);
	return {
		kind: "planned",
		plan: {
			argv: [
				...["/bin/sh", "-c", SCRIPT, "workspace-diff", head.commit ?? ""],
				...[String(presentList.length), String(request.maxDiffBytes), head.objectFormat],
			] as [string, ...string[]],
			environment: environmentFor(workspace, objects),
			stdin: Buffer.concat([presentList, listOf(removed)]),
			workingDirectory: workspace,
			readOnlyFolders: inside ? [] : [head.objects],
			leftOut,
		},
	};
}

/** The environment is all git knows: no home folder, no system settings, no prompt, no protocol to fetch by. */
function environmentFor(workspace: string, objects: string): Record<string, string> {
	return {
		PATH: "/usr/local/bin:/usr/bin:/bin",
		HOME: "/nonexistent",
		LC_ALL: "C",
		GIT_WORK_TREE: workspace,
		GIT_ALTERNATE_OBJECT_DIRECTORIES: objects,
		GIT_CONFIG_NOSYSTEM: "1",
		GIT_CONFIG_SYSTEM: "/dev/null",
		GIT_CONFIG_GLOBAL: "/dev/null",
		GIT_ATTR_NOSYSTEM: "1",
		GIT_NO_REPLACE_OBJECTS: "1",
		GIT_NO_LAZY_FETCH: "1",
		GIT_ALLOW_PROTOCOL: "",
		GIT_TERMINAL_PROMPT: "0",
		GIT_OPTIONAL_LOCKS: "0",
		GIT_PAGER: "cat",
	};
}

function sortedLists({ before, after, changes }: DiffRequest): {
	present: string[];
	removed: string[];
	leftOut: number;
} {
	const embedded = embeddedRepositories(before);
	const present: string[] = [];
	const removed: string[] = [];
	let leftOut = 0;
	for (const { path } of changes) {
		const entry = after.entries.get(path);
		const former = before.entries.get(path);
		if (/(?:^|\/)\.git(?:\/|$)/i.test(path) || isBelow(path, embedded)) leftOut += 1;
		else if (entry?.read === true && (entry.type === "file" || entry.type === "symlink")) present.push(rawOfPath(path));
		else if (former !== undefined && former.type !== "directory" && (entry === undefined || entry.type !== former.type))
			removed.push(rawOfPath(path));
		else leftOut += 1;
	}
	// comm(1) and check-ignore need the order of bytes; `changes` has it, but that is its maker's promise, not ours.
	return { present: present.sort(), removed: removed.sort(), leftOut };
}

/**
 * Folders that had a `.git` of their own before the run: git records of them a commit, never files. One that the run
 * made is shown file by file, else a planted `.git` would hide what is beside it.
 */
function embeddedRepositories(before: TreeSnapshot): ReadonlySet<string> {
	const folders = [...before.entries.keys()].filter((path) => path.endsWith("/.git"));
	return new Set(folders.map((path) => path.slice(0, -"/.git".length)));
}

function isBelow(path: string, folders: ReadonlySet<string>): boolean {
	if (folders.size === 0) return false;
	for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
		if (folders.has(path.slice(0, end))) return true;
	}
	return false;
}

function listOf(raws: readonly string[]): Buffer {
	return Buffer.from(raws.map((raw) => `${raw}\0`).join(""), "latin1");
}
