import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { test } from "node:test";
import type { TestEvent } from "node:test/reporters";
import { Outcomes } from "./outcomes.ts";

const root = dirname(import.meta.dirname);
const some = join(root, "src/some.test.ts");

function ended(type: "test:pass" | "test:fail", name: string, file = some): TestEvent {
	const details = { duration_ms: 1, error: new Error("failed", { cause: new Error("it was slow") }) };
	return { type, data: { name, file, line: 7, column: 1, nesting: 0, testNumber: 1, details } } as TestEvent;
}

function firstTry(): Outcomes {
	const outcomes = new Outcomes(root, "files");
	for (const event of [ended("test:pass", "one"), ended("test:fail", "two")]) outcomes.note(event);
	assert.deepEqual(outcomes.failedFiles(), ["src/some.test.ts"]);
	assert.equal(outcomes.exitCode(), 1);
	outcomes.setAside(outcomes.failedFiles());
	return outcomes;
}

test("what passes at its second try is told as unsteady, with its error", () => {
	const outcomes = firstTry();
	for (const event of [ended("test:pass", "one"), ended("test:pass", "two")]) outcomes.note(event);
	assert.equal(outcomes.exitCode(), 0);
	assert.match(
		outcomes.closing(),
		/Unsteady[\s\S]*✖ two\n {2}src\/some.test.ts:7\n[\s\S]*it was slow[\s\S]*\n2 passed, 0 failed, 0 skipped\n$/,
	);
});

test("what fails again has failed", () => {
	const outcomes = firstTry();
	for (const event of [ended("test:pass", "one"), ended("test:fail", "two")]) outcomes.note(event);
	assert.equal(outcomes.exitCode(), 1);
	assert.match(outcomes.closing(), /✖ two\n[\s\S]*it was slow[\s\S]*\n1 passed, 1 failed, 0 skipped\n$/);
	assert.doesNotMatch(outcomes.closing(), /Unsteady/);
});

test("a file that says nothing at its second try has not passed, whatever others did", () => {
	const outcomes = firstTry();
	outcomes.note(ended("test:pass", "three", join(root, "src/other.test.ts")));
	assert.equal(outcomes.exitCode(), 1);
	assert.match(outcomes.closing(), /\n1 passed, 1 failed, 0 skipped\n$/);
});
