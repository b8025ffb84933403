/**
 * The test runner's front: picks files, runs each in its own process by node:test, and ends with every skip and its
 * reason and one closing line, `N passed, N failed, N skipped`.
 *
 *   node test/run.ts all|unit|images [PATTERN...]     a PATTERN selects by file path, else by test title
 */
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { run } from "node:test";
import { Outcomes } from "./outcomes.ts";

const root = dirname(import.meta.dirname);
/** What runs real programs of the system: these folders, host but for its trees, and `*.system.test.ts` anywhere. */
const SYSTEM = /^test\/(?:attacks|conformance|system|scenario)\/|^src\/host\/(?!tree\/)|\.system\.test\.ts$/;
/** What installs whole Debian systems runs by name only: `npm run test:images`. */
const IMAGES = /^test\/images\//;
/** So few files are run again, alone, when the whole suite is over: more fail for a reason that stays. */
const MOST_UNSTEADY = 2;
/** What fails once here has failed: an escape, a leak, a directive that is lost. */
const STEADY = /^test\/(?:attacks|conformance|scenario)\/|^src\/egress\//;
const TEST_TIMEOUT_MS = { all: 120_000, unit: 120_000, images: 3_600_000 };

const [named = "all", ...patterns] = process.argv.slice(2);
const set = named === "unit" || named === "images" ? named : "all";
const every = globSync(["src/**/*.test.ts", "test/**/*.test.ts"], { cwd: root }).sort();
const inSet = every.filter(
	(file) => IMAGES.test(file) === (set === "images") && !(set === "unit" && SYSTEM.test(file)),
);
const byPath = inSet.filter((file) => patterns.some((pattern) => file.includes(pattern)));
const byTitle = patterns.length > 0 && byPath.length === 0;
const files = patterns.length === 0 || byTitle ? inSet : byPath;

const abort = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => abort.abort());

const outcomes = new Outcomes(root, byTitle ? "titles" : "files");
await runFiles(files, availableParallelism());
const unsteady = outcomes.failedFiles();
const isWorthIt =
	unsteady.length > 0 && unsteady.length <= MOST_UNSTEADY && !unsteady.some((file) => STEADY.test(file));
if (set === "all" && patterns.length === 0 && isWorthIt && !abort.signal.aborted) {
	process.stdout.write(`\nAgain, alone: ${unsteady.join(", ")}\n`);
	outcomes.setAside(unsteady);
	await runFiles(unsteady, 1);
}
process.stdout.write(outcomes.closing());
process.exitCode = outcomes.exitCode();

async function runFiles(some: readonly string[], concurrency: number): Promise<void> {
	const stream = run({
		files: [...some],
		cwd: root,
		concurrency,
		timeout: TEST_TIMEOUT_MS[set],
		execArgv: set === "images" ? [] : ["--import", join(import.meta.dirname, "watchdog.ts")],
		signal: abort.signal,
		...(byTitle
			? { testNamePatterns: patterns.map((pattern) => new RegExp(pattern.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"), "i")) }
			: {}),
	});
	for await (const event of stream) outcomes.note(event);
}
