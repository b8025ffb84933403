import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { posix } from "node:path";
import { beneath, SAFE_OPEN } from "./content.ts";
import { printablePath, rawOfText } from "./path-text.ts";
import type { TreeSnapshot } from "./snapshot.ts";
import type { OpenFolder } from "./walk.ts";

/** Settings files larger than this are not git's. */
const MAX_SETTINGS_BYTES = 256 << 10;
const SETTINGS_NAMES = new Set(["config", "config.worktree"]);

/**
 * While a tree is walked, notes which files below the root git would run as hooks or read as settings because a
 * `.git/config` says so (`core.hooksPath`, `include.path`). Reads those files as text and over-reads: a line that only
 * looks like such a setting counts, since the price is one more flag for a person to look at.
 */
export function collectGitSettings(root: string): {
	look: (folder: OpenFolder) => void;
	found: () => TreeSnapshot["git"];
} {
	const hookFolders = new Set<string>();
	const settingFiles = new Set<string>();
	const keepInside = (into: Set<string>, from: string, written: string) => {
		const below = posix.isAbsolute(written) ? posix.relative(rawOfText(root), written) : posix.join(from, written);
		const path = posix.normalize(below);
		if (path !== ".." && !path.startsWith("../") && !posix.isAbsolute(path))
			into.add(printablePath(path.replace(/\/$/, "")));
	};
	return {
		look: (folder) => {
			if (!/(?:^|\/)\.git(?:\/|$)/.test(folder.relative)) return;
			const workTree = folder.relative.replace(/(?:^|\/)\.git(?:\/.*)?$/, "");
			for (const { name, type } of folder.node.children) {
				if (type !== "file" || !SETTINGS_NAMES.has(name)) continue;
				const text = readText(folder.fd, name);
				for (const value of valuesOf(text, "hookspath")) keepInside(hookFolders, workTree, value);
				for (const value of valuesOf(text, "path")) keepInside(settingFiles, folder.relative, value);
			}
		},
		found: () => ({ hookFolders: [...hookFolders].sort(), settingFiles: [...settingFiles].sort() }),
	};
}

function valuesOf(text: string, name: string): string[] {
	const pattern = new RegExp(`(?:^|[\\s\\]])${name}[ \\t]*=[ \\t]*("(?:[^"\\\\\\n]|\\\\.)*"|[^\\n#;]*)`, "gi");
	return [...text.matchAll(pattern)]
		.map((match) => (match[1] ?? "").trim().replace(/^"|"$/g, "").replace(/\\(.)/g, "$1"))
		.filter((value) => value !== "");
}

function readText(folderFd: number, name: string): string {
	try {
		const fd = openSync(beneath(folderFd, name), SAFE_OPEN);
		try {
			if (!fstatSync(fd).isFile()) return "";
			const bytes = Buffer.alloc(MAX_SETTINGS_BYTES);
			return bytes.toString("latin1", 0, readSync(fd, bytes, 0, MAX_SETTINGS_BYTES, 0));
		} finally {
			closeSync(fd);
		}
	} catch {
		return "";
	}
}
