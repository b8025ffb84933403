import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { matchesCommand } from "./command-patterns.ts";
import { readCommand } from "./command-text.ts";

test("what is inspected is what a shell would run", () => {
	const inspected = (...argv: string[]) => readCommand(argv).inspected;
	assert.equal(inspected("npm", "run", "build"), "npm run build");
	assert.equal(inspected("sh", "-c", "a | b"), "a | b");
	assert.equal(inspected("/bin/bash", "-euo", "pipefail", "-c", "a; b"), "a; b");
	assert.equal(inspected("bash", "-lc", "a"), "a");
	assert.equal(inspected("sudo", "sh", "-c", "a"), "sudo a");
	assert.equal(inspected("sh", "-c", '"$@"', "x", "rm", "-rf", "/"), '"$@"\nx rm -rf /');
	assert.equal(inspected("sh", "build.sh", "-c", "release"), "sh build.sh -c release");
	assert.equal(inspected("sh", "-c"), "sh -c");
	assert.equal(inspected("env", "A=1", "sh", "-c", "a > b"), "env A=1 a > b");
});

test("the commands in a script are found for deny and approve", () => {
	const commands = (...argv: string[]) => readCommand(argv).commands.map((words) => words.join(" "));
	assert.deepEqual(commands("sh", "-c", "cd x && npm test; (curl y) | tee z"), [
		"sh -c cd x && npm test; (curl y) | tee z",
		"cd x",
		"npm test",
		"curl y",
		"tee z",
	]);
	assert.deepEqual(commands("env", "A=1", "nice", "-n", "5", "curl", "x"), [
		"env A=1 nice -n 5 curl x",
		"nice -n 5 curl x",
		"curl x",
	]);
});

const MATCHES: readonly (readonly [pattern: string, words: readonly string[], matches: boolean])[] = [
	["npm test", ["npm", "test"], true],
	["npm test", ["npm", "test", "--x"], false],
	["npm *", ["npm"], true],
	["npm *", ["npm", "run", "a b; rm"], true],
	["npm run build:*", ["npm", "run", "build:web"], true],
	["npm run build:*", ["npm", "run", "build:web", "x"], false],
	["curl *", ["/usr/bin/curl", "x"], true],
	["/usr/bin/curl *", ["/tmp/curl", "x"], false],
	["npm *", ["sh", "-c", "npm test"], false],
	["*", ["anything", "at all"], true],
	["py*3 -m *", ["python3", "-m", "pytest", "-q"], true],
	["a*b*c", ["aXbXc"], true],
	["a*b*c", ["aXcXb"], false],
	["ab*ba", ["aba"], false],
];
for (const [pattern, words, matches] of MATCHES) {
	test(`\`${pattern}\` ${matches ? "matches" : "does not match"} ${words.join(" ")}`, () => {
		assert.equal(matchesCommand(pattern, words), matches);
	});
}

test("glob words agree with a regular expression", () => {
	const glob = fc.string({ unit: fc.constantFrom("a", "b", "*"), minLength: 1, maxLength: 8 });
	const word = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 8 });
	fc.assert(
		fc.property(glob, word, (pattern, text) => {
			const expected = new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(text);
			assert.equal(matchesCommand(`x ${pattern} y`, ["x", text, "y"]), expected);
		}),
		{ numRuns: 3000 },
	);
});
