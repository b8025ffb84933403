import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { evaluateFs, intersectFs, intersectPaths, isCovered, normalizePath, pathsOverlap } from "./paths.ts";

const NORMAL: readonly (readonly [written: string, normal: string])[] = [
	["workspace:**", "/workspace"],
	["workspace:/src", "/workspace/src"],
	["workspace:/../etc", "/workspace/etc"],
	["host:/opt/tool", "/opt/tool"],
	["host", "/host"],
	["/workspace/../etc/passwd", "/etc/passwd"],
	["/../../../", "/"],
	["", "/"],
	["a//b/./c/", "/a/b/c"],
	["/src:**", "/src"],
];
for (const [written, normal] of NORMAL) {
	test(`${JSON.stringify(written)} is ${normal}`, () => assert.equal(normalizePath(written), normal));
}

test("a prefix covers itself and what is below, never a sibling that starts alike", () => {
	assert.equal(isCovered("/workspace/src", ["/workspace"]), true);
	assert.equal(isCovered("/workspace", ["/workspace/"]), true);
	assert.equal(isCovered("/workspace-old", ["/workspace"]), false);
	assert.equal(isCovered("/workspace/../etc", ["/workspace"]), false);
	assert.equal(isCovered("/anything", ["/"]), true);
	assert.equal(isCovered("/anything", []), false);
	assert.equal(pathsOverlap("/workspace", "/workspace/.git"), true);
	assert.equal(pathsOverlap("/a", "/b"), false);
});

test("evaluation names every path that is not covered", () => {
	const policy = { read: ["workspace:**"], write: ["/workspace/src"] };
	assert.deepEqual(evaluateFs({ read: ["/workspace/a"], write: ["/workspace/src/x"] }, policy).violations, []);
	assert.deepEqual(evaluateFs({}, {}), { allowed: true, violations: [] });
	assert.deepEqual(evaluateFs({ read: ["/etc"], write: ["/workspace", "/tmp"] }, policy), {
		allowed: false,
		violations: [
			"read access to /etc is not allowed by the policy",
			"write access to /workspace is not allowed by the policy",
			"write access to /tmp is not allowed by the policy",
		],
	});
});

test("intersections keep the narrower, in its own spelling", () => {
	assert.deepEqual(intersectPaths(["workspace:**"], ["/workspace/src/", "/etc"]), ["/workspace/src/"]);
	assert.deepEqual(intersectPaths(["/a/"], ["/a"]), ["/a/"]);
	assert.deepEqual(intersectFs({ read: ["/a"] }, { write: ["/a"] }), { read: [], write: [] });
});

const part = fc.constantFrom("a", "b", "c", "..", ".", "");
const path = fc.array(part, { maxLength: 5 }).map((parts) => `/${parts.join("/")}`);
const paths = fc.array(path, { maxLength: 4 });
const normal = (list: readonly string[]) => [...new Set(list.map(normalizePath))].sort();

test("normalising is idempotent and always absolute without dots", () => {
	fc.assert(
		fc.property(fc.oneof(path, fc.string()), (text) => {
			const once = normalizePath(text);
			assert.match(once, /^\//);
			assert.ok(!once.split("/").some((segment) => segment === ".." || segment === "."));
			if (/^\//.test(text) && !/:\*\*/.test(text)) assert.equal(normalizePath(once), once);
		}),
	);
});

test("an intersection covers exactly what both cover, in either order", () => {
	fc.assert(
		fc.property(paths, paths, path, (left, right, target) => {
			const both = intersectPaths(left, right);
			assert.equal(isCovered(target, both), isCovered(target, left) && isCovered(target, right));
			assert.deepEqual(normal(both), normal(intersectPaths(right, left)));
			assert.deepEqual(normal(intersectPaths(both, left)), normal(both));
		}),
		{ numRuns: 3000 },
	);
});
