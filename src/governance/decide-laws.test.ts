import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Workload } from "../runtime/schema.ts";
import { NO_LIMITS } from "../runtime/schema.ts";
import { decide } from "./decide.ts";
import { applyPolicyDefaults } from "./limits.ts";
import { allowlist, network, policy, workload } from "./sample-workload.ts";

const SECTIONS = [
	"isolation: { allow: [bwrap, container] }",
	"isolation: { approve: [bwrap] }",
	"isolation: { deny: [host] }",
	"network: { modes: [none, allowlist] }",
	"network: { allow: ['*.example.com:443'], approve: [admin.example.com] }",
	"network: { deny: [evil.example.com] }",
	"paths: { write: { allow: [/workspace] } }",
	"paths: { write: { deny: [/workspace/.git] } }",
	"commands: { allow: [npm *, sh *] }",
	"commands: { deny: [npm publish *], approve: [npm *] }",
	"limits: { max: { memory: 1GiB }, default: { memory: 512MiB } }",
	"limits: { max: { memory: 2GiB }, default: { timeout: 1m } }",
	"approval: { host_profile: needs_approval, net_unrestricted: forbidden }",
	"approval: { host_profile: forbidden }",
].map((text, index) => policy(text, `p${index}`));
const RANK = { allow: 0, "needs-approval": 1, deny: 2 };

const anyPolicies = fc.subarray(SECTIONS);
const anyWorkload = fc
	.record({
		isolation: fc.constantFrom<Workload["isolation"]>("bwrap", "container", "host", null),
		argv: fc.constantFrom(["npm", "test"], ["npm", "publish"], ["sh", "-c", "a; npm publish"], ["yarn"]),
		memoryMiB: fc.constantFrom(null, 256, 1024, 4096),
		network: fc.constantFrom(
			network("none"),
			network("unrestricted"),
			allowlist("a.example.com:443"),
			allowlist("*.example.com:443"),
			network("allowlist", ["*.example.com:443"], ["evil.example.com", "admin.example.com"]),
		),
	})
	.map(
		({ memoryMiB, network: net, argv, isolation }): Workload => ({
			...workload(net),
			argv: [...argv],
			isolation,
			limits: { ...NO_LIMITS, memoryMiB },
		}),
	);

test("a further policy never allows more, and order does not matter", () => {
	fc.assert(
		fc.property(anyWorkload, anyPolicies, fc.constantFrom(...SECTIONS), (asked, policies, another) => {
			const before = decide(asked, policies).verdict;
			const after = decide(asked, [...policies, another]).verdict;
			assert.ok(RANK[after] >= RANK[before], `${before} became ${after}`);
			assert.equal(after, decide(asked, [another, ...policies.toReversed()]).verdict);
			const alone = Math.max(
				RANK[decide(asked, []).verdict],
				...policies.map((one) => RANK[decide(asked, [one]).verdict]),
			);
			assert.equal(RANK[before], alone, "the verdict is the strictest of the single ones");
		}),
		{ numRuns: 1500 },
	);
});

test("asking for less never gets a stricter answer", () => {
	fc.assert(
		fc.property(anyWorkload, anyPolicies, (asked, policies) => {
			const less = { ...asked, network: workload().network };
			assert.ok(
				RANK[decide(less, policies).verdict] <= RANK[decide(asked, policies).verdict] ||
					policies.some(({ rules }) => rules.modes),
			);
		}),
		{ numRuns: 500 },
	);
});

test("defaults: the smallest, below every maximum, only where nothing was asked", () => {
	const policies = [
		policy("limits: { max: { memory: 1GiB, cpus: 2 }, default: { memory: 1GiB, timeout: 10m } }"),
		policy("limits: { max: { memory: 512MiB }, default: { timeout: 5m } }"),
	];
	assert.deepEqual(applyPolicyDefaults(NO_LIMITS, policies), {
		...NO_LIMITS,
		memoryMiB: 512,
		cpuMillicores: 2000,
		timeoutMs: 300_000,
	});
	assert.equal(applyPolicyDefaults({ ...NO_LIMITS, memoryMiB: 4096 }, policies).memoryMiB, 4096);
	assert.deepEqual(applyPolicyDefaults(NO_LIMITS, []), NO_LIMITS);
});

test("limits left to the policy are never denied by it", () => {
	fc.assert(
		fc.property(anyPolicies, (policies) => {
			const limits = applyPolicyDefaults(NO_LIMITS, policies);
			const { reasons } = decide(workload({ limits }), policies);
			assert.ok(!reasons.some(({ code }) => code === "limit-above-maximum"));
		}),
	);
});
