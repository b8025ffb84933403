import assert from "node:assert/strict";
import { type ExecFileException, execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BREAKS } from "./fleet-world.ts";

/** The part of every test run; `npm run test:simulation` has ten thousand. */
const SCHEDULES = 500;
const MOST_TO_NOTICE = 4_000;

interface Simulated {
	readonly code: number;
	readonly stdout: string;
	readonly stderr: string;
}

/** In a process of its own: the test runner's hooks on every promise would cost as much again. */
function simulate(words: readonly (string | number)[]): Promise<Simulated> {
	const program = join(import.meta.dirname, "simulate.ts");
	return new Promise((resolve) => {
		execFile(process.execPath, [program, ...words.map(String)], (error: ExecFileException | null, stdout, stderr) =>
			resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
		);
	});
}

test(`${SCHEDULES} schedules of a fleet: nothing is lost and nothing happens twice`, async (t) => {
	const { code, stdout, stderr } = await simulate(["--schedules", SCHEDULES, "--processes", availableParallelism()]);
	assert.equal(code, 0, stderr);
	t.diagnostic(stdout.trim());
});

test("a seed gives the same history each time", async () => {
	const [once, again] = [await simulate(["--schedules", 20]), await simulate(["--schedules", 20])];
	assert.match(once.stdout, /"history":"[0-9a-f]{16}"/);
	assert.equal(once.stdout, again.stdout);
});

for (const rule of BREAKS) {
	test(`a control plane that breaks the rule ${rule} is found out`, async () => {
		const { code, stderr } = await simulate(["--schedules", MOST_TO_NOTICE, "--break", rule]);
		assert.notEqual(code, 0, "nobody noticed");
		assert.match(stderr, /AssertionError|ended \d times|writers/);
	});
}
