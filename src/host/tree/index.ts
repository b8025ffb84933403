/**
 * tree: what a folder contains, as one digest, and what changed in it.
 *
 * Hides     names that are not text, hostile trees (links, pipes, sparse and endless files), the cache, hashing threads.
 * Promises  the same names, modes, types, contents and links give the same digest on every machine.
 * Never     follows a symbolic link, runs anything from the folder, or fails because of what is in it.
 * Start at  `snapshot.ts`: the exact form of the digest; then `scan.ts`, `comparison.ts`, `git-diff.ts`.
 */
export { compareTrees } from "./comparison.ts";
export { copyOut } from "./copy-out.ts";
export { treeFailures } from "./failures.ts";
export { DIFF_EXIT, type DiffPlan, type DiffRequest, planWorkspaceDiff, type WorkspaceDiff } from "./git-diff.ts";
export { type GitHead, readGitHead } from "./git-head.ts";
export { printablePath } from "./path-text.ts";
export { DEFAULT_TREE_LIMITS, type ScanOptions, scanTree } from "./scan.ts";
export type { EntryType, TreeEntry, TreeProblem, TreeSnapshot } from "./snapshot.ts";
export type { TreeLimits } from "./walk.ts";
