import assert from "node:assert/strict";
import test from "node:test";
import { codeOnly, files, findLines, source, textOf, typescript } from "./tree.ts";

const tests = typescript.filter((path) => path.endsWith(".test.ts"));

test("no test is singled out or put off", () => {
	assert.deepEqual(findLines(tests, /\b(?:test|it|describe|suite)\.(?:only|todo)\b|\b(?:only|todo):/, codeOnly), []);
});

test("every skip has a reason", () => {
	// `test.skip("reason")` inside a test has one; `test.skip("title", ...)` has none.
	const silent = /\b(?:test|it|describe|suite)\.skip\((?!["'`][^"'`]*["'`]\))|\bskip:\s*true\b|\.skip\(\s*\)/;
	assert.deepEqual(findLines(tests, silent, codeOnly), []);
});

test("every test file asserts something", () => {
	// A conformance suite asserts inside what it calls.
	const silent = tests.filter(
		(path) => !/\bassert\b|\bfc\.assert\b|\bt\.assert\b|\btest[A-Z]\w*\(/.test(codeOnly(path)),
	);
	assert.deepEqual(silent, []);
});

test("source and tests are told apart by their names", () => {
	assert.deepEqual(
		source.filter((path) => textOf(path).includes('"node:test"')),
		[],
	);
});

test("the runner finds every test file", () => {
	assert.deepEqual(
		files.filter((path) => /\.(?:spec|tests?)\.[jt]s$/.test(path) && !tests.includes(path)),
		[],
	);
});
