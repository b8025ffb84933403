import assert from "node:assert/strict";
import { test } from "node:test";
import type { Workload } from "../runtime/schema.ts";
import { NO_LIMITS } from "../runtime/schema.ts";
import { decide } from "./decide.ts";
import { allowlist, network, policy, workload } from "./sample-workload.ts";
import { decisionSchema } from "./schema.ts";

/** What a policy makes of a workload: the verdict, then the codes of its reasons. */
const CASES: readonly (readonly [name: string, rules: string, changes: Partial<Workload>, ...expected: string[]])[] = [
	["version alone", "", {}, "allow", "policy-allows"],
	["isolation listed", "isolation: { allow: [bwrap] }", {}, "allow", "policy-allows"],
	["isolation not listed", "isolation: { allow: [container] }", {}, "deny", "isolation-not-allowed"],
	["isolation: empty list", "isolation: { allow: [] }", {}, "deny", "isolation-not-allowed"],
	["isolation denied", "isolation: { allow: [bwrap], deny: [bwrap] }", {}, "deny", "isolation-denied"],
	[
		"isolation to approve",
		"isolation: { allow: [bwrap], approve: [bwrap] }",
		{},
		"needs-approval",
		"isolation-approval",
	],
	[
		"isolation to approve need not be allowed too",
		"isolation: { allow: [], approve: [bwrap] }",
		{},
		"needs-approval",
		"isolation-approval",
	],
	[
		"isolation left open is judged as any of them",
		"isolation: { allow: [bwrap, container, firecracker, qemu] }",
		{ isolation: null },
		"deny",
		"isolation-not-allowed",
	],
	["mode not listed", "network: { modes: [none] }", allowlist("a.example.com:443"), "deny", "network-mode-not-allowed"],
	["modes: empty list", "network: { modes: [] }", {}, "deny", "network-mode-not-allowed"],
	[
		"destination allowed",
		"network: { allow: ['*.example.com:443'] }",
		allowlist("a.example.com:443"),
		"allow",
		"policy-allows",
		"network-asked",
	],
	[
		"port not allowed",
		"network: { allow: ['*.example.com:443'] }",
		allowlist("a.example.com"),
		"deny",
		"destination-not-allowed",
	],
	[
		"each destination is judged",
		"network: { allow: [] }",
		allowlist("a.example.com:443", "b.example.com:443"),
		"deny",
		"destination-not-allowed",
		"destination-not-allowed",
	],
	[
		"destination denied",
		"network: { deny: [evil.example.com] }",
		allowlist("evil.example.com:443"),
		"deny",
		"destination-denied",
	],
	[
		"a wildcard that reaches a denied one",
		"network: { deny: [evil.example.com] }",
		allowlist("*.example.com:443"),
		"deny",
		"destination-denied",
	],
	[
		"… unless the run refuses it itself",
		"network: { deny: [evil.example.com] }",
		network("allowlist", ["*.example.com:443"], ["evil.example.com"]),
		"allow",
		"policy-allows",
		"network-asked",
	],
	[
		"… on every port",
		"network: { deny: [evil.example.com] }",
		network("allowlist", ["*.example.com"], ["evil.example.com:443"]),
		"deny",
		"destination-denied",
	],
	[
		"destination to approve",
		"network: { allow: ['*.example.com:443'], approve: [admin.example.com] }",
		allowlist("admin.example.com:443"),
		"needs-approval",
		"destination-approval",
	],
	[
		"http rules count as destinations",
		"network: { allow: [] }",
		{
			network: {
				mode: "allowlist",
				allow: [],
				deny: [],
				http: [{ destination: "a.example.com:80", methods: [], paths: [] }],
			},
		},
		"deny",
		"destination-not-allowed",
	],
	["a rule that can't be read", "", allowlist("no good"), "deny", "destination-unreadable"],
	[
		"unrestricted reaches beyond a list",
		"network: { allow: ['*.example.com:443'] }",
		network("unrestricted"),
		"deny",
		"destination-not-allowed",
	],
	[
		"unrestricted by mode",
		"network: { modes: [unrestricted], allow: [10.0.0.1:80] }",
		network("unrestricted"),
		"allow",
		"policy-allows",
		"network-asked",
	],
	[
		"unrestricted, a private address by list",
		"network: { modes: [unrestricted], allow: [10.0.0.1:80] }",
		network("unrestricted", ["10.0.0.2:80"]),
		"deny",
		"destination-not-allowed",
	],
	[
		"unrestricted reaches what is denied",
		"network: { deny: [evil.example.com] }",
		network("unrestricted"),
		"deny",
		"destination-denied",
	],
	[
		"unrestricted without what is denied",
		"network: { deny: [evil.example.com] }",
		network("unrestricted", [], ["evil.example.com"]),
		"allow",
		"policy-allows",
		"network-asked",
	],
	[
		"none reaches nothing",
		"network: { allow: [], deny: ['*'] }",
		{ network: { mode: "none", allow: ["a.example.com"], deny: [], http: [] } },
		"allow",
		"policy-allows",
	],
	[
		"tier: unrestricted to approve",
		"approval: { net_unrestricted: needs_approval }",
		network("unrestricted"),
		"needs-approval",
		"approval-needed",
	],
	[
		"tier: unrestricted forbidden",
		"approval: { net_unrestricted: forbidden }",
		network("unrestricted"),
		"deny",
		"approval-forbidden",
	],
	[
		"tier: skip",
		"approval: { net_unrestricted: skip }",
		network("unrestricted"),
		"allow",
		"policy-allows",
		"network-asked",
	],
	["tier: host", "approval: { host_profile: forbidden }", { isolation: "host" }, "deny", "approval-forbidden"],
	[
		"tier: outside the workspace",
		"approval: { fs_outside_workspace: needs_approval }",
		{ isolation: "host" },
		"needs-approval",
		"approval-needed",
	],
	[
		"tier: a sandbox writes inside",
		"approval: { fs_outside_workspace: forbidden, host_profile: forbidden }",
		{},
		"allow",
		"policy-allows",
	],
	["write allowed", "paths: { write: { allow: [/workspace] } }", {}, "allow", "policy-allows"],
	[
		"only a part may be written, so the whole may not",
		"paths: { write: { allow: [/workspace/src] } }",
		{},
		"deny",
		"write-not-allowed",
	],
	["a part must not be written", "paths: { write: { deny: [/workspace/.git] } }", {}, "deny", "write-denied"],
	[
		"a part that is kept read-only is not written",
		"paths: { write: { deny: [/workspace/.git/hooks] } }",
		{ workspace: { source: "/p", access: "read-write", protected: [".git"] } },
		"allow",
		"policy-allows",
	],
	[
		"nothing is kept without isolation",
		"paths: { write: { deny: [/workspace/.git] } }",
		{ isolation: "host", workspace: { source: "/p", access: "read-write", protected: [".git"] } },
		"deny",
		"write-denied",
	],
	[
		"read-only writes nothing",
		"paths: { write: { allow: [], deny: [/] } }",
		{ workspace: { source: "/p", access: "read-only", protected: [] } },
		"allow",
		"policy-allows",
	],
	["write to approve", "paths: { write: { approve: ['workspace:**'] } }", {}, "needs-approval", "write-approval"],
	[
		"no isolation writes everything",
		"paths: { write: { allow: [/workspace] } }",
		{ isolation: "host" },
		"deny",
		"write-not-allowed",
	],
	[
		"exposed but not allowed",
		"paths: { read: { allow: [/opt] } }",
		{ exposed: ["/opt/tool", "/srv"] },
		"deny",
		"read-not-allowed",
	],
	[
		"exposing what holds a secret",
		"paths: { read: { deny: [/home/user/.ssh] } }",
		{ exposed: ["/home/user"] },
		"deny",
		"read-denied",
	],
	["command allowed", "commands: { allow: [npm *] }", {}, "allow", "policy-allows"],
	["command not allowed", "commands: { allow: [npm *] }", { argv: ["yarn"] }, "deny", "command-not-allowed"],
	[
		"a shell is not what it starts",
		"commands: { allow: [npm *] }",
		{ argv: ["sh", "-c", "npm test"] },
		"deny",
		"command-not-allowed",
	],
	["command denied by name", "commands: { deny: [curl] }", { argv: ["/usr/bin/curl", "x"] }, "deny", "command-denied"],
	[
		"command denied in a script",
		"commands: { deny: [curl] }",
		{ argv: ["sh", "-c", "cd x; curl y"] },
		"deny",
		"command-denied",
	],
	[
		"command to approve",
		"commands: { approve: [npm publish *] }",
		{ argv: ["npm", "publish"] },
		"needs-approval",
		"command-approval",
	],
	[
		"limit within",
		"limits: { max: { memory: 1GiB } }",
		{ limits: { ...NO_LIMITS, memoryMiB: 1024 } },
		"allow",
		"policy-allows",
	],
	[
		"limit above",
		"limits: { max: { memory: 1GiB } }",
		{ limits: { ...NO_LIMITS, memoryMiB: 1025 } },
		"deny",
		"limit-above-maximum",
	],
	["no limit is above every limit", "limits: { max: { timeout: 1h } }", {}, "deny", "limit-above-maximum"],
	[
		"shapes: nothing is inspected in a sandbox",
		"",
		{ argv: ["sh", "-c", "curl x | sh; sudo rm -rf /"] },
		"allow",
		"policy-allows",
	],
	[
		"shapes: forbidden on the host",
		"",
		{ isolation: "host", argv: ["sh", "-c", "sudo rm -rf /"] },
		"deny",
		"command-forbidden",
		"command-forbidden",
		"command-forbidden",
	],
	[
		"shapes: doubtful on the host",
		"",
		{ isolation: "host", argv: ["sh", "-c", "a | b; c"] },
		"needs-approval",
		"command-doubtful",
		"command-doubtful",
	],
	[
		"all findings, denials first",
		"isolation: { approve: [bwrap] }\nlimits: { max: { cpus: 1 } }\ncommands: { deny: [npm *] }",
		{},
		"deny",
		"command-denied",
		"limit-above-maximum",
		"isolation-approval",
	],
];

for (const [name, rules, changes, ...expected] of CASES) {
	test(name, () => {
		const decision = decide(workload(changes), [policy(rules)]);
		assert.deepEqual([decision.verdict, ...decision.reasons.map(({ code }) => code)], expected);
		assert.ok(decisionSchema.safeParse(decision).success);
		for (const { sentence } of decision.reasons) assert.doesNotMatch(sentence, /unknown\)|undefined|\{\w+\}/);
	});
}

test("without a policy the built-in one allows what the command line said, and says so", () => {
	const codes = (changes: Partial<Workload>) => decide(workload(changes), []).reasons.map(({ code }) => code);
	assert.deepEqual(codes({}), ["built-in-policy"]);
	assert.deepEqual(codes(network("unrestricted")), ["built-in-policy", "network-asked"]);
	assert.deepEqual(codes({ isolation: "host" }), ["host-accepted"]);
	assert.equal(decide(workload({ isolation: "host" }), []).verdict, "allow");
	assert.equal(decide(workload({ isolation: "host", argv: ["sudo", "ls"] }), []).verdict, "deny");
});

test("a decision names exactly its workload and its policies", () => {
	const first = decide(workload(), [policy("isolation: { allow: [bwrap] }", "a"), policy("", "b")]);
	assert.deepEqual(
		first.policies.map(({ source }) => source),
		["a", "b"],
	);
	assert.notEqual(decide(workload({ argv: ["npm", "tes"] }), []).workloadDigest, first.workloadDigest);
	assert.deepEqual(decide(workload(), [policy("isolation: { allow: [bwrap] }", "a"), policy("", "b")]), first);
});

test("the digest of a policy stands in the decision", () => {
	const one = policy("isolation: { allow: [bwrap] }");
	assert.equal(decide(workload(), [one]).policies[0]?.digest, one.digest);
});
