import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { SAFE_OPEN } from "./content.ts";

/**
 * Which commit a workspace stands on, read from its files: git itself, run on the host in a hostile repository, would
 * run what that repository's settings name. Layout: gitrepository-layout(5), gitworktree "DETAILS".
 */
export type GitHead =
	| { readonly kind: "none"; readonly reason: string }
	| {
			readonly kind: "git";
			/** 40 or 64 hexadecimal digits; null on a branch without commits. */
			readonly commit: string | null;
			readonly objectFormat: "sha1" | "sha256";
			/** Absolute path of the object store: in the workspace, or in the repository that this is a worktree of. */
			readonly objects: string;
	  };

const MAX_POINTER_BYTES = 4096;
const MAX_PACKED_REFS_BYTES = 64 << 20;
const MAX_SYMBOLIC_REFS = 5;
/** git-check-ref-format(1), narrowed: no control or glob characters, and no part that starts with a dot. */
const REF_NAME = /^(?:refs|HEAD)(?:\/(?!\.)[^\0-\x20\x7f~^:?*[\\/]+)*$/;

/** @param workspace absolute path of the folder that has `.git` directly in it; parents are not searched */
export function readGitHead(workspace: string): GitHead {
	try {
		const root = realpathSync(workspace);
		const gitFolder = gitFolderOf(root);
		if (typeof gitFolder !== "string") return gitFolder;
		const commonFolder = commonFolderOf(gitFolder);
		if (!isFolder(join(commonFolder, "objects"))) return none(`${commonFolder} has no objects folder`);
		const commit = resolveRef(gitFolder, commonFolder, "HEAD");
		if (commit === undefined) return none("HEAD can't be resolved without running git");
		const objectFormat = commit?.length === 64 || configuresSha256(commonFolder) ? "sha256" : "sha1";
		return { kind: "git", commit, objectFormat, objects: join(commonFolder, "objects") };
	} catch (error) {
		return none(error instanceof Error ? error.message : String(error));
	}
}

/** `.git` as a folder, or the folder a `.git` file points to when that folder points back to this workspace. */
function gitFolderOf(root: string): string | GitHead {
	const dotGit = join(root, ".git");
	if (isFolder(dotGit)) return dotGit;
	const pointer = readSmall(dotGit, MAX_POINTER_BYTES);
	const target = pointer === undefined ? undefined : /^gitdir: (.+?)\n?$/.exec(pointer)?.[1];
	if (target === undefined) return none("no .git folder or gitdir file");
	const gitFolder = realpathSync(resolve(root, target));
	if (gitFolder.startsWith(`${root}/`)) return gitFolder;
	// A hostile workspace may name any repository of its reader. Only that repository itself can say it is a worktree.
	const back = readSmall(join(gitFolder, "gitdir"), MAX_POINTER_BYTES)?.trim();
	if (back !== undefined && isAbsolute(back) && realpathSync(back) === dotGit) return gitFolder;
	return none(`.git points to ${gitFolder}, which does not point back to this workspace`);
}

function commonFolderOf(gitFolder: string): string {
	const common = readSmall(join(gitFolder, "commondir"), MAX_POINTER_BYTES)?.trim();
	if (common === undefined || common === "") return gitFolder;
	const folder = realpathSync(resolve(gitFolder, common));
	// A worktree's own folder is <common>/worktrees/<name>. Anything else would be a pointer to a repository of choice.
	return gitFolder.startsWith(`${folder}/worktrees/`) ? folder : gitFolder;
}

/** Commit id, null for a branch without commits, undefined for what only git understands (a reftable, a long chain). */
function resolveRef(gitFolder: string, commonFolder: string, name: string, hops = 0): string | null | undefined {
	if (!REF_NAME.test(name) || name.includes("..") || name.startsWith("refs/heads/.invalid")) return undefined;
	const folder = name === "HEAD" ? gitFolder : commonFolder;
	const text = readSmall(join(folder, name), MAX_POINTER_BYTES)?.trim();
	if (text === undefined) return name === "HEAD" ? undefined : packedRef(commonFolder, name);
	const id = objectId(text);
	if (id !== undefined) return id;
	const target = /^ref:\s*(\S+)$/.exec(text)?.[1];
	return target === undefined || hops >= MAX_SYMBOLIC_REFS
		? undefined
		: resolveRef(gitFolder, commonFolder, target, hops + 1);
}

function packedRef(commonFolder: string, name: string): string | null | undefined {
	const line = `\n${readSmall(join(commonFolder, "packed-refs"), MAX_PACKED_REFS_BYTES) ?? ""}`;
	const end = line.indexOf(` ${name}\n`);
	if (end === -1) return null;
	return objectId(line.slice(line.lastIndexOf("\n", end - 1) + 1, end));
}

function objectId(text: string): string | undefined {
	return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text) ? text : undefined;
}

function configuresSha256(commonFolder: string): boolean {
	return /^\s*objectformat\s*=\s*sha256\s*$/im.test(
		readSmall(join(commonFolder, "config"), MAX_PACKED_REFS_BYTES) ?? "",
	);
}

function none(reason: string): GitHead {
	return { kind: "none", reason };
}

function isFolder(path: string): boolean {
	const fd = openIfThere(path, SAFE_OPEN | constants.O_DIRECTORY);
	if (fd !== undefined) closeSync(fd);
	return fd !== undefined;
}

/** A regular file's text, up to `maxBytes`; undefined when it is missing, a link, larger, or anything else. */
function readSmall(path: string, maxBytes: number): string | undefined {
	const fd = openIfThere(path, SAFE_OPEN);
	if (fd === undefined) return undefined;
	try {
		const stats = fstatSync(fd);
		if (!stats.isFile() || stats.size > maxBytes) return undefined;
		const bytes = Buffer.alloc(stats.size);
		return bytes.toString("utf8", 0, readSync(fd, bytes, 0, stats.size, 0));
	} finally {
		closeSync(fd);
	}
}

function openIfThere(path: string, flags: number): number | undefined {
	try {
		return openSync(path, flags);
	} catch {
		return undefined;
	}
}
