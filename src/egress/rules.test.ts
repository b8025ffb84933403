import assert from "node:assert/strict";
import { test } from "node:test";
import { specialUseOf } from "./addresses.ts";
import { type Host, parseHost } from "./destination.ts";
import { type CompiledRules, compileRules, loopbackListenersOf, parseRule } from "./rules.ts";
import type { NetworkRules } from "./schema.ts";
import { judgeAddress, judgeDestination, judgeName } from "./verdict.ts";

function compiled(rules: Partial<NetworkRules>): CompiledRules {
	const outcome = compileRules({ mode: "allowlist", allow: [], deny: [], http: [], ...rules });
	if (outcome.kind === "invalid") throw new Error(outcome.reasons.map((reason) => reason.sentence).join("\n"));
	return outcome.rules;
}

function host(text: string): Host {
	const parsed = parseHost(text);
	if (parsed.kind === "invalid") throw new Error(`${text}: ${parsed.problem}`);
	return parsed;
}

const MATCHES: readonly (readonly [rule: string, host: string, port: number, verdict: "allowed" | "refused"])[] = [
	["api.example.com:443", "api.example.com", 443, "allowed"],
	["api.example.com:443", "API.Example.COM.", 443, "allowed"],
	["  api.example.com.:443 ", "api.example.com", 443, "allowed"],
	["api.example.com:443", "api.example.com", 80, "refused"],
	["api.example.com:443", "x.api.example.com", 443, "refused"],
	["api.example.com", "api.example.com", 80, "allowed"],
	["api.example.com", "api.example.com", 443, "allowed"],
	["api.example.com", "api.example.com", 8080, "refused"],
	["*.example.com:443", "a.example.com", 443, "allowed"],
	["*.example.com:443", "b.a.example.com", 443, "allowed"],
	["*.example.com:443", "example.com", 443, "refused"],
	["*.example.com:443", "badexample.com", 443, "refused"],
	["bücher.example:443", "xn--bcher-kva.example", 443, "allowed"],
	["93.184.216.34:443", "93.184.216.34", 443, "allowed"],
	["93.184.216.34:443", "::ffff:93.184.216.34", 443, "allowed"],
	["[2001:db8::1]:443", "2001:DB8:0::1", 443, "allowed"],
	["10.0.0.0/8:5432", "10.9.8.7", 5432, "allowed"],
	["10.0.0.0/8:5432", "11.0.0.1", 5432, "refused"],
	["[fd00::/8]:443", "fd12::1", 443, "allowed"],
	["localhost:8080", "localhost", 8080, "allowed"],
	["localhost:8080", "127.0.0.1", 8080, "allowed"],
	["localhost:8080", "::1", 8080, "allowed"],
	["localhost:8080", "127.0.0.2", 8080, "refused"],
];

for (const [rule, asked, port, verdict] of MATCHES) {
	test(`rule ${rule} and ${asked} port ${port}: ${verdict}`, () => {
		const rules = compiled({ allow: [rule] });
		assert.equal(judgeDestination(rules, host(asked), port).verdict, verdict);
	});
}

test("every wrong rule is named with its fix, all at once", () => {
	const wrong = [
		"",
		"*",
		"*.com:443",
		"*.localhost:443",
		"*.*.example.com:443",
		"db:5432",
		"example.com:*",
		"example.com:0",
		"example.com:65536",
		"example.com:080",
		"127.0.0.1",
		"::1",
		"localhost",
		"10.0.0.0/8",
		"10.1.0.0/8:1",
		"10.0.0.0/33:1",
		"10.0.0.0/08:1",
		"[::ffff:0:0/96]:1",
		"[::1%lo]:1",
		"0x7f.1:80",
		"2130706433:80",
		"http://example.com",
		"user@example.com:80",
		"a b.example:1",
		"-a.example.com:1",
		`${"a".repeat(64)}.example.com:1`,
		"１２７.0.0.1:80",
		"example.com:80:90",
	];
	const outcome = compileRules({ mode: "allowlist", allow: wrong, deny: [], http: [] });
	assert.equal(outcome.kind, "invalid");
	if (outcome.kind !== "invalid") return;
	assert.deepEqual(
		outcome.reasons.map((reason) => reason.details.rule),
		wrong.map((text) => JSON.stringify(text)),
	);
	for (const reason of outcome.reasons) assert.match(reason.sentence, /can't be used: .+\. \w+ .+\.$/);
});

test("deny takes every port, wins over allow, and may be spelled without a port", () => {
	for (const deny of ["bad.example.com", "bad.example.com:*", "*.example.com", "*.example.com:443"]) {
		const rules = compiled({ allow: ["bad.example.com:443"], deny: [deny] });
		const verdict = judgeDestination(rules, host("bad.example.com"), 443);
		assert.equal(verdict.verdict, "refused");
		assert.equal(verdict.rule, deny);
	}
	assert.equal(parseRule("::1", "deny").kind, "rule");
	assert.equal(
		judgeName(compiled({ mode: "unrestricted", deny: ["bad.example.com"] }), "bad.example.com").verdict,
		"refused",
	);
	assert.equal(
		judgeName(compiled({ mode: "unrestricted", deny: ["bad.example.com:25"] }), "bad.example.com").verdict,
		"allowed",
	);
});

test("refusals say what would have to be allowed", () => {
	const rules = compiled({ allow: ["api.example.com:443"] });
	const port = judgeDestination(rules, host("api.example.com"), 8443);
	assert.match(port.detail, /api\.example\.com:443 allows this host on another port.*--allow api\.example\.com:8443/);
	assert.equal(port.verdict === "refused" && port.reason, "NOT_IN_ALLOWLIST");
	assert.match(judgeDestination(rules, host("2001:db8::9"), 443).detail, /--allow \[2001:db8::9\]:443/);
	const none = judgeDestination(compiled({ mode: "none" }), host("a.example"), 1);
	assert.equal(none.verdict === "refused" && none.reason, "NET_MODE_NONE");
});

const SPECIAL = [
	"0.0.0.0",
	"0.1.2.3",
	"10.0.0.1",
	"100.64.0.1",
	"100.127.255.255",
	"127.0.0.1",
	"127.255.255.255",
	"169.254.0.1",
	"169.254.169.254",
	"172.16.0.1",
	"172.31.255.255",
	"192.0.0.1",
	"192.168.0.1",
	"198.18.0.1",
	"198.19.255.255",
	"224.0.0.1",
	"239.255.255.255",
	"240.0.0.1",
	"255.255.255.255",
	"::",
	"::1",
	"::7f00:1",
	"::ffff:10.0.0.1",
	"::ffff:a9fe:a9fe",
	"64:ff9b::a00:1",
	"2002:a00:1::",
	"2001::1",
	"fc00::1",
	"fd00:ec2::254",
	"fe80::1",
	"fec0::1",
	"ff02::1",
] as const;
const PUBLIC = [
	"1.1.1.1",
	"100.63.255.255",
	"100.128.0.1",
	"172.32.0.1",
	"192.0.2.1",
	"198.51.100.1",
	"203.0.113.1",
	"2001:db8::1",
	"2606:4700::1111",
	"::ffff:8.8.8.8",
] as const;

test("special addresses are refused for names and literals, documentation ranges are not", () => {
	const rules = compiled({ mode: "unrestricted" });
	assert.match(specialUseOf("169.254.169.254") ?? "", /metadata/);
	for (const address of SPECIAL) {
		assert.ok(specialUseOf(address) !== undefined, address);
		const verdict = judgeAddress(rules, host("any.example.com"), address, 443);
		assert.equal(verdict.verdict === "refused" && verdict.reason, "DNS_DENIED", address);
	}
	for (const address of PUBLIC)
		assert.equal(judgeAddress(rules, host("any.example.com"), address, 443).verdict, "allowed", address);
});

test("only a rule that spells a special address, or a network around it, at that port opens it", () => {
	const named = compiled({ allow: ["db.example.com:5432"] });
	assert.equal(judgeAddress(named, host("db.example.com"), "10.0.0.5", 5432).verdict, "refused");
	for (const allow of ["10.0.0.5:5432", "10.0.0.0/24:5432"]) {
		const rules = compiled({ allow: ["db.example.com:5432", allow] });
		assert.equal(judgeAddress(rules, host("db.example.com"), "10.0.0.5", 5432).verdict, "allowed");
		assert.equal(judgeAddress(rules, host("db.example.com"), "10.0.0.5", 22).verdict, "refused");
		assert.equal(judgeAddress(rules, host("db.example.com"), "10.0.1.5", 5432).verdict, "refused");
	}
});

test("loopback rules become listeners, denied ones do not", () => {
	const rules = compiled({
		allow: ["localhost:80", "127.0.0.5:90", "[::1]:91", "api.example.com"],
		deny: ["127.0.0.1:80"],
	});
	assert.deepEqual(loopbackListenersOf(rules), [
		{ address: "::1", port: 80 },
		{ address: "127.0.0.5", port: 90 },
		{ address: "::1", port: 91 },
	]);
	assert.deepEqual(loopbackListenersOf(compiled({ mode: "none", allow: ["localhost:80"] })), []);
});
