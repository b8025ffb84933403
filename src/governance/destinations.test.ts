import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
	coversDestination,
	type DestinationSet,
	overlapsDestination,
	parseDestination,
	type RuleOrigin,
} from "./destinations.ts";

function set(text: string, origin: RuleOrigin = "policy-allow"): DestinationSet {
	const parsed = parseDestination(text, origin);
	if ("problem" in parsed) throw new Error(`${text}: ${parsed.problem}`);
	return parsed;
}

const COVERS: readonly (readonly [wide: string, narrow: string, covers: boolean])[] = [
	["*.example.com:443", "api.example.com:443", true],
	["*.example.com:443", "a.b.example.com:443", true],
	["*.example.com:443", "example.com:443", false],
	["*.example.com:443", "badexample.com:443", false],
	["*.example.com:443", "*.api.example.com:443", true],
	["*.api.example.com:443", "*.example.com:443", false],
	["*.example.com:443", "api.example.com:80", false],
	["*.example.com:443", "api.example.com", false],
	["*.example.com", "api.example.com:443", true],
	["example.com", "example.com", true],
	["EXAMPLE.com.:443", "example.COM:443", true],
	["bücher.example:443", "xn--bcher-kva.example:443", true],
	["10.0.0.0/8:5432", "10.1.2.3:5432", true],
	["10.0.0.0/8:5432", "10.1.0.0/16:5432", true],
	["10.1.0.0/16:5432", "10.0.0.0/8:5432", false],
	["10.0.0.0/16:5432", "10.0.0.0/8:5432", false],
	["10.0.0.0/8:5432", "11.0.0.1:5432", false],
	["[fd00::/8]:443", "[fd12::1]:443", true],
	["[::1]:443", "[0:0:0:0:0:0:0:1]:443", true],
	["127.0.0.1:80", "[::ffff:127.0.0.1]:80", true],
	["localhost:80", "127.0.0.1:80", true],
	["127.0.0.0/8:80", "localhost:80", false],
	["*:443", "api.example.com:443", true],
	["*:443", "10.0.0.1:443", true],
	["*:443", "api.example.com:80", false],
	["*", "api.example.com:12345", true],
	["0.0.0.0/0:443", "api.example.com:443", false],
];
for (const [wide, narrow, covers] of COVERS) {
	test(`${wide} ${covers ? "covers" : "does not cover"} ${narrow}`, () => {
		assert.equal(coversDestination([set(wide)], set(narrow, "workload-allow")), covers);
	});
}

test("several entries cover together", () => {
	assert.equal(coversDestination([set("a.example.com:80"), set("*.example.com:443")], set("a.example.com")), true);
	assert.equal(
		coversDestination([set("127.0.0.0/8:80"), set("[::1]:80"), set("localhost:80")], set("localhost:80")),
		true,
	);
	assert.equal(coversDestination([], set("a.example.com:443")), false);
});

const INVALID: readonly string[] = [
	"",
	"*.com:443",
	"*.localhost:443",
	"*.*.example.com:443",
	"host:443",
	"example.com:0",
	"example.com:65536",
	"example.com:0443",
	"example.com:443:1",
	"127.1:80",
	"0x7f.1:80",
	"10.1.2.3/8:80",
	"10.0.0.0/33:80",
	"10.0.0.1",
	"::1",
	"[::ffff:10.0.0.0/104]:80",
	"[fe80::1%eth0]:80",
	"ex ample.com:80",
	"-a.example.com:80",
	"https://example.com",
	"user@example.com:80",
];
for (const text of INVALID) {
	test(`${JSON.stringify(text)} is no destination`, () => {
		assert.ok("problem" in parseDestination(text, "workload-allow"));
	});
}

test("deny and policy rules may leave the port out; only policies may say *", () => {
	assert.equal(set("10.0.0.1", "policy-deny").ports, "any");
	assert.equal(set("example.com:*", "workload-deny").ports, "any");
	assert.ok("problem" in parseDestination("*", "workload-allow"));
	assert.equal(overlapsDestination(set("example.com", "policy-deny"), set("example.com:8443")), true);
});

const label = fc.constantFrom("a", "b", "example", "com", "net");
const name = fc.array(label, { minLength: 2, maxLength: 4 }).map((labels) => labels.join("."));
const host = fc.oneof(
	name,
	name.map((text) => `*.${text}`),
	fc.constantFrom("localhost", "127.0.0.1", "127.0.0.0/8", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0"),
	fc.constantFrom("[::1]", "[fd00::/8]", "[fd00::1]", "*"),
);
const rule = fc.tuple(host, fc.constantFrom(80, 443, 8080)).map(([text, port]) => set(`${text}:${port}`));

test("covering is reflexive and transitive; what is covered and not empty overlaps; overlap is symmetric", () => {
	fc.assert(
		fc.property(rule, rule, rule, (a, b, c) => {
			assert.ok(coversDestination([a], a));
			assert.equal(overlapsDestination(a, b), overlapsDestination(b, a));
			if (coversDestination([a], b)) assert.ok(overlapsDestination(a, b));
			if (coversDestination([a], b) && coversDestination([b], c)) assert.ok(coversDestination([a], c));
			if (coversDestination([a], b)) assert.ok(coversDestination([c, a], b));
		}),
		{ numRuns: 5000 },
	);
});

test("any text is a destination or a problem", () => {
	const hostile = fc.oneof(
		fc.string(),
		fc.string({ unit: fc.constantFrom(..."[]:*./0123456789abfx%-") }),
		fc.ipV6(),
		fc.ipV4(),
	);
	fc.assert(
		fc.property(hostile, fc.constantFrom("workload-allow", "policy-deny"), (text, origin) => {
			const parsed = parseDestination(text, origin as RuleOrigin);
			assert.ok("problem" in parsed || parsed.hosts.length > 0);
		}),
		{ numRuns: 5000 },
	);
});
