import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { interleave, runProgram, timeProgram } from "./measure.ts";
import { type BenchResult, goal, medianOf } from "./report.ts";
import { packagedVouch, privateEnvironment } from "./vouch.ts";

const ROUNDS = 15;
const GOAL_MS = 300;
const FILES = 2000;
const repository = join(import.meta.dirname, "..");

/** `vouch image build` when nothing has changed, as a whole process: how long one waits for being told so. */
export async function benchImageRebuild(directory: string): Promise<BenchResult> {
	const vouch = await packagedVouch(directory);
	const settings = {
		environment: { ...privateEnvironment(directory), XDG_CACHE_HOME: join(repository, "build/test-cache/images") },
		workingDirectory: directory,
	};
	for (const name of ["home", "data", "runtime"]) mkdirSync(join(directory, name), { mode: 0o700 });
	cpSync(join(repository, "examples/python-app"), join(directory, "python-app"), { recursive: true });
	mkdirSync(join(directory, "folder"));
	for (let index = 0; index < FILES; index += 1) writeFileSync(join(directory, "folder", `${index}`), `${index}\n`);
	const build = (source: string): [string, ...string[]] => [vouch, "image", "build", source];
	for (const source of ["python-app", "folder"]) await runProgram(build(source), settings);
	const columns = await interleave(
		[
			{ name: "the example's Dockerfile", once: () => timeProgram(build("python-app"), settings) },
			{ name: `a folder of ${FILES} files`, once: () => timeProgram(build("folder"), settings) },
			{ name: "vouch --version", once: () => timeProgram([vouch, "--version"], settings) },
		],
		ROUNDS,
	);
	const goals = columns.slice(0, 2).map(({ name }) => {
		const ms = medianOf(columns, name);
		return goal(`${name}: at most ${GOAL_MS} ms`, `${ms.toFixed(0)} ms`, () => ms <= GOAL_MS);
	});
	return {
		name: "image-rebuild",
		measurements: [{ title: "Nothing has changed", unit: "ms", columns, base: "vouch --version", goals }],
		notes: [
			"Every name and state of the source is looked at again, and contents whose state is not known to be settled.",
			`That no change is missed: src/image/plan/plan.test.ts "no change of a root file system is missed, also one that size and time don't show".`,
		],
	};
}
