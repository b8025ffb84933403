import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { Policy } from "./policy.ts";
import { readPolicy } from "./policy-text.ts";

const SOURCE = "vouch.policy.yaml";
function policyOf(text: string): Policy {
	const read = readPolicy(text, SOURCE);
	if (read.kind === "policy") return read.policy;
	throw new Error(read.reasons.map(({ sentence }) => sentence).join("\n"));
}
/** Each problem as `code line:column …sentence`. */
function problemsOf(text: string): string[] {
	const read = readPolicy(text, SOURCE);
	assert.equal(read.kind, "invalid", "it is valid");
	if (read.kind !== "invalid") return [];
	return read.reasons.map(({ code, details, sentence }) => `${code} ${details.line}:${details.column} ${sentence}`);
}

test("a whole policy is read, and its digest does not depend on layout", () => {
	const text = `version: 1
isolation: { allow: [bwrap, container], approve: [host] }
network:
  modes: [none, allowlist]
  allow: ["*.example.com:443", 10.0.0.0/8:5432]
  deny: [evil.example.com]
paths:
  write: { allow: [/workspace], deny: ["workspace:/.git"] }
  read: { allow: [host:/opt] }
commands: { deny: ["curl *"] }
limits:
  max: { cpus: 1.5, memory: 2GiB, processes: 64, open_files: 256, disk_write: 1GiB, output: 64MiB, timeout: 10m }
  default: { memory: 512MiB, timeout: 60s }
approval: { net_unrestricted: needs_approval }
`;
	const { rules, digest } = policyOf(text);
	assert.deepEqual(rules.maximum, {
		cpuMillicores: 1500,
		memoryMiB: 2048,
		processes: 64,
		openFiles: 256,
		diskWriteMiB: 1024,
		outputBytes: 64 * 2 ** 20,
		timeoutMs: 600_000,
	});
	assert.deepEqual(rules.standard, { memoryMiB: 512, timeoutMs: 60_000 });
	assert.deepEqual(rules.write, { allow: ["/workspace"], approve: undefined, deny: ["/workspace/.git"] });
	assert.deepEqual(rules.modes, ["none", "allowlist"]);
	assert.equal(
		policyOf(`# a comment\n${text.replace("[bwrap, container]", "[ bwrap,\n    container ]")}`).digest,
		digest,
	);
	assert.notEqual(policyOf(text.replace("64,", "65,")).digest, digest);
});

test("the example of the guide is valid", () => {
	const guide = readFileSync(join(import.meta.dirname, "../../docs/guides/policy.md"), "utf8");
	const examples = [...guide.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text ?? "");
	assert.ok(examples.length > 0);
	for (const text of examples) policyOf(text);
});

test("empty, only comments, and `version: 1` alone are different things", () => {
	for (const text of ["", "\n\n", "# nothing yet\n", "---\n", "null\n", "~"]) {
		assert.match(problemsOf(text)[0] ?? "", /^policy-empty .*Write `version: 1`/, JSON.stringify(text));
	}
	assert.deepEqual(policyOf("version: 1").rules.isolation, {});
	assert.match(problemsOf("{}")[0] ?? "", /policy-wrong-value 1:1 .*`version`.*add `version: 1`/);
});

const WRONG: readonly (readonly [text: string, ...problems: RegExp[]])[] = [
	[
		"version: 1\nisolaton:\n  allow: [bwrap]\n",
		/^policy-unknown-key 2:1 .*unknown key `isolaton`.*Did you mean `isolation`\?/,
	],
	[
		"version: 1\nlimits:\n  max:\n    openFiles: 3\n",
		/^policy-unknown-key 4:5 .* in `limits.max`\. Did you mean `open_files`\?/,
	],
	["version: 1\nnetwork:\n  alow: []\n  denny: []\n", /3:3 .*Did you mean `allow`/, /4:3 .*Did you mean `deny`/],
	["version: 1\nzzz: 1\n", /Known here: version, isolation, network, paths, commands, limits, approval/],
	["version: 2\n", /^policy-wrong-value 1:10 .*2 is not one of 1/],
	["version: '1'\n", /is not one of 1/],
	["version: 1\nisolation:\n  allow: [bwrap, contaner]\n", /3:18 .*`isolation.allow\[2\]`.*Did you mean container\?/],
	["version: 1\nisolation:\n  allow: [fake]\n", /fake is not one of/],
	["version: 1\nisolation:\n  allow: bwrap\n", /3:10 .*it is a string\. Write a list: \[bwrap\]/],
	["version: 1\nisolation:\n  allow:\n", /`isolation.allow`.*it is empty\. Write \[\] for nothing/],
	["version: 1\nisolation:\n", /`isolation`.*it is empty/],
	["version: 1\nnetwork:\n  allow:\n    - api.example.com: 443\n", /4:7 .*it is a map.*without a blank/],
	[
		"version: 1\nnetwork:\n  allow:\n    - *.example.com:443\n",
		/policy-syntax 4:7 .*reads as a YAML alias\. Put quotes/,
	],
	["version: 1\nnetwork:\n  allow: [nodots:443]\n", /3:11 .*nodots:443: write the full name/],
	["version: 1\nnetwork:\n  modes: [open]\n", /open is not one of none, allowlist, unrestricted/],
	["version: 1\npaths:\n  write: { allow: [src] }\n", /3:20 .*src: write an absolute path/],
	["version: 1\npaths:\n  write: { allow: [/workspace/*] }\n", /without \* or \?/],
	["version: 1\nlimits: { max: { memory: 512 } }\n", /512 does not fit: write a size such as/],
	["version: 1\nlimits: { max: { timeout: 30 } }\n", /30 does not fit: write a time with its unit/],
	["version: 1\nlimits: { max: { timeout: soon } }\n", /soon does not fit/],
	["version: 1\nlimits: { max: { memory: 1k } }\n", /1k does not fit/],
	["version: 1\nlimits: { max: { processes: 0 } }\n", /0 does not fit/],
	[
		"version: 1\nlimits: { max: { timeout: 5s }, default: { timeout: 6s } }\n",
		/`limits.default.timeout`.*more than the maximum/,
	],
	["version: 1\napproval: { host_profile: maybe }\n", /maybe is not one of skip, needs_approval, forbidden/],
	["version: 1\nversion: 1\n", /policy-syntax 2:1 .*unique/],
	["version: 1\n\tbad: tab\n", /^policy-syntax 2:1/],
	["version: 1\nisolation: {allow: [bwrap}\n", /^policy-syntax 2/],
	["version: 1\n---\nversion: 1\n", /^policy-syntax/],
	["a: &x [1]\nversion: 1\nb: *x\n", /anchors .* are not used/, /reads as a YAML alias/],
	["version: !!float 1\nisolation: !custom {}\n", /^policy-syntax/],
	["? [1]\n: 2\n", /a key must be a plain word/],
	["- 1\n", /^policy-wrong-value 1:1 .*`the document`/],
	["just text", /^policy-wrong-value 1:1/],
];
for (const [text, ...patterns] of WRONG) {
	test(`refused with its place: ${JSON.stringify(text.slice(0, 70))}`, () => {
		const problems = problemsOf(text);
		assert.ok(problems.length >= patterns.length, problems.join("\n"));
		for (const pattern of patterns)
			assert.ok(
				problems.some((problem) => pattern.test(problem)),
				`${pattern}\n${problems.join("\n")}`,
			);
	});
}

test("every problem is listed, not only the first", () => {
	const problems = problemsOf(
		"version: 3\nisolation: { alow: [], deny: [nope] }\nlimits: { max: { cpus: -1 } }\napproval: 5\n",
	);
	assert.equal(problems.length, 5, problems.join("\n"));
});

test("any text is a policy or a list of problems, and never an exception", () => {
	const key = fc.constantFrom(
		"version",
		"isolation",
		"network",
		"paths",
		"commands",
		"limits",
		"approval",
		"allow",
		"max",
		"x",
	);
	const scalar = fc.constantFrom(
		"1",
		"[]",
		"{}",
		"~",
		"bwrap",
		"*a",
		"&a b",
		"!!x y",
		"'q",
		'"*.a.b:1"',
		"2GiB",
		"[a, b]",
		"{a: 1}",
		"|",
	);
	const line = fc
		.tuple(fc.constantFrom("", "  ", "    ", "- "), key, scalar)
		.map(([indent, name, value]) => `${indent}${name}: ${value}`);
	const yaml = fc.array(line, { maxLength: 8 }).map((lines) => lines.join("\n"));
	fc.assert(
		fc.property(fc.oneof(fc.string({ unit: "binary" }), yaml), (text) => {
			const read = readPolicy(text, SOURCE);
			return read.kind === "policy" || read.reasons.every(({ sentence }) => !sentence.includes(" unknown)"));
		}),
		{ numRuns: 3000 },
	);
});

test("nesting, aliases and size are bounded", () => {
	for (const text of ["[".repeat(100_000), "{a: ".repeat(50_000), "- ".repeat(50_000), "x".repeat(300_000)]) {
		assert.equal(readPolicy(text, SOURCE).kind, "invalid");
	}
	const bomb = `a: &a [1,1,1,1,1,1,1,1]\n${[..."bcdefghij"].map((name, index) => `${name}: &${name} [${`*${"abcdefghij"[index]},`.repeat(9)}1]`).join("\n")}\n`;
	const started = performance.now();
	assert.equal(readPolicy(bomb, SOURCE).kind, "invalid");
	assert.ok(performance.now() - started < 5000);
});
