import assert from "node:assert/strict";
import { test } from "node:test";
import { artifactMatcher, artifactNameSchema, artifactPatternSchema } from "./artifacts.ts";

test("patterns mean what they mean in a shell", () => {
	const cases: readonly (readonly [pattern: string, yes: readonly string[], no: readonly string[]])[] = [
		["report.xml", ["report.xml"], ["a/report.xml", "report.xml/a", "Report.xml"]],
		["*.xml", ["a.xml", "ü b.xml"], ["a/b.xml", ".xml", ".a.xml", "a.xmlx"]],
		["dist/*", ["dist/a", "dist/a.tgz"], ["dist", "dist/a/b", "dist/.hidden", "adist/a"]],
		["dist/", ["dist/a", "dist/a/b/c"], ["dist", "dist/.a", "dist/.a/b"]],
		["**/*.log", ["a.log", "x/a.log", "x/y/a.log"], [".git/a.log", "x/.y/a.log", "a.logs"]],
		["a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a", "b", "a/x", "xa/b"]],
		["**", ["a", "a/b"], [".a", "a/.b"]],
		[".github/**", [".github/w.yml"], [".github", ".git/w"]],
		["**/**/c", ["c", "a/c", "a/b/c"], ["a/b"]],
		["r?[0-9].txt", ["ra1.txt"], ["r1.txt", "raa.txt"]],
		["a(1).txt", ["a(1).txt"], ["a1.txt"]],
		["!a", ["!a"], ["b"]],
	];
	for (const [pattern, yes, no] of cases) {
		assert.equal(artifactPatternSchema.safeParse(pattern).success, true, pattern);
		const matches = artifactMatcher([pattern]);
		for (const name of yes) assert.equal(matches(name), true, `${pattern} and ${name}`);
		for (const name of no) assert.equal(matches(name), false, `${pattern} and ${name}`);
	}
	assert.equal(artifactMatcher(["a", "b"])("b"), true);
	assert.equal(artifactMatcher([])("b"), false);
});

test("what leaves the workspace, hides from a screen or could take for ever is no pattern and no name", () => {
	const both = ["", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a\\b", "a\0b", "a\nb", "\u202ea", "a".repeat(1025)];
	for (const text of both) {
		assert.equal(artifactPatternSchema.safeParse(text).success, false, JSON.stringify(text));
		assert.equal(artifactNameSchema.safeParse(text).success, false, JSON.stringify(text));
	}
	for (const text of ["{a,b}", "{1..9999999}", "+(a)", "@(a|b)", "*a*a*a*a", "/"])
		assert.equal(artifactPatternSchema.safeParse(text).success, false, text);
	assert.equal(artifactNameSchema.safeParse("a/").success, false);
	assert.equal(artifactNameSchema.safeParse("a (1)/ü{}.txt").success, true);
});

test("the worst pattern and name are answered at once", () => {
	const matches = artifactMatcher(["**/*a*a*a/**/**/**/*b", "*a*a*ab"]);
	const startedMs = performance.now();
	assert.equal(matches(`${"a".repeat(255)}/${"a/".repeat(300)}c`), false);
	assert.ok(performance.now() - startedMs < 2000);
});
