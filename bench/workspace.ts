import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { scanTree } from "../src/host/index.ts";
import { interleave, runProgram, timeProgram } from "./measure.ts";
import { type BenchResult, goal, medianOf } from "./report.ts";

const FILES = 50_000;
const FILES_PER_FOLDER = 100;
const COLD_ROUNDS = 3;
const WARM_ROUNDS = 10;
const GOAL_MS = 1000;

/** The digest of a tree of 50 000 files, against what git does to know that nothing changed. */
export async function benchWorkspace(directory: string): Promise<BenchResult> {
	const tree = join(directory, "tree");
	const cacheFile = join(directory, "scan-cache");
	await makeTree(tree);
	const git = (...args: string[]) => timeProgram(["git", "-C", tree, ...args]);
	const scan = async () => {
		const startMs = performance.now();
		await scanTree(tree, { cacheFile });
		return performance.now() - startMs;
	};
	const cold = await interleave(
		[
			{
				name: "git status",
				once: async () => {
					// An index fresh from the tree knows no file times, so git reads every file, as a first scan does.
					rmSync(join(tree, ".git/index"));
					await git("read-tree", "HEAD");
					return git("status", "--porcelain");
				},
			},
			{
				name: "vouch digest",
				once: () => {
					rmSync(cacheFile, { recursive: true, force: true });
					return scan();
				},
			},
		],
		COLD_ROUNDS,
	);
	await git("update-index", "--refresh");
	await scan();
	const warm = await interleave(
		[
			{ name: "git status", once: () => git("status", "--porcelain") },
			{ name: "vouch digest", once: scan },
		],
		WARM_ROUNDS,
	);
	const warmMs = medianOf(warm, "vouch digest");
	const goals = [goal("well under a second the second time", `${warmMs.toFixed(0)} ms`, () => warmMs < GOAL_MS / 2)];
	return {
		name: "workspace",
		measurements: [
			{ title: "First time: every file is read", unit: "ms", columns: cold, base: "git status", goals: [] },
			{ title: "Again, nothing changed", unit: "ms", columns: warm, base: "git status", goals },
		],
		notes: [
			"Files are in the page cache both times. git's time includes starting it; the digest's is the function alone.",
			"git compares names and times with its index; the digest covers names, modes, contents and links.",
		],
	};
}

async function makeTree(tree: string): Promise<void> {
	for (let index = 0; index < FILES; index += 1) {
		const folder = join(
			tree,
			`part-${Math.floor(index / FILES_PER_FOLDER / 25)}`,
			`folder-${Math.floor(index / FILES_PER_FOLDER)}`,
		);
		if (index % FILES_PER_FOLDER === 0) mkdirSync(folder, { recursive: true });
		// Sizes as in source trees: most files have a few kilobytes.
		writeFileSync(join(folder, `file-${index}.txt`), `line ${index}\n`.repeat(20 + (index % 300)));
	}
	const identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "core.fsync=none"];
	for (const args of [
		["init", "-q"],
		["add", "-A"],
		["commit", "-q", "-m", "tree"],
	]) {
		await runProgram(["git", ...identity, "-C", tree, ...args]);
	}
}
