import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
	intersectEntries,
	isEntryCovered,
	mergeCapabilities,
	mergeNet,
	resolveFs,
	resolveNet,
} from "./capability-merge.ts";
import { evaluateDevice, intersectPatterns, matchesCapability, mergeDevice } from "./device-policy.ts";
import type { Tier } from "./schema.ts";
import { evaluateApproval, mergeApproval, strictestTier } from "./tiers.ts";

test("no policy says nothing", () => {
	const empty = { fs: null, net: null, secrets: {}, sandbox_profile_rules: {}, approval: {}, device: null };
	assert.deepEqual(mergeCapabilities([]), empty);
	assert.deepEqual(mergeCapabilities([{ fs: {}, net: {}, secrets: {}, approval: {}, device: {} }]), empty);
});

test("dimensions merge as section 6.2 says", () => {
	const merged = mergeCapabilities([
		{
			fs: { read: ["workspace:**"], write: ["workspace:**"] },
			secrets: { a: 1 },
			approval: { host_profile: "skip", other: "skip" },
		},
		{ fs: { read: ["/workspace/src"] }, net: { mode: "unrestricted" }, approval: { host_profile: "forbidden" } },
		{
			net: { mode: "allowlist", allow: ["a.example.com:443"] },
			secrets: { b: 2 },
			approval: { host_profile: "needs_approval" },
		},
	]);
	assert.deepEqual(merged, {
		fs: { read: ["/workspace/src"], write: [] },
		net: { mode: "allowlist", allow: ["a.example.com:443"] },
		secrets: { b: 2 },
		sandbox_profile_rules: {},
		approval: { host_profile: "forbidden", other: "skip" },
		device: null,
	});
});

test("net: the narrower mode replaces, an unknown mode restricts nothing, wildcards cover", () => {
	const none = { mode: "none" };
	const open = { mode: "unrestricted" };
	assert.equal(mergeNet(open, none), none);
	assert.equal(mergeNet(none, open), none);
	assert.equal(mergeNet({ mode: "later" }, none), none);
	assert.deepEqual(
		mergeNet(
			{ mode: "allowlist", allow: ["*.example.com:443", "x.test.org:80"] },
			{ mode: "allowlist", allow: ["API.example.com:443"] },
		),
		{ mode: "allowlist", allow: ["API.example.com:443"] },
	);
});

test("a request never gets more than the policy allows (section 6.7, the compat-safe fix)", () => {
	const policy = { mode: "allowlist", allow: ["*.example.com:443"] };
	const requested = { mode: "allowlist", allow: ["evil.test.org:443", "api.example.com:443"] };
	assert.deepEqual(resolveNet(requested, policy), { mode: "allowlist", allow: ["api.example.com:443"] });
	assert.deepEqual(resolveNet({ mode: "unrestricted" }, policy), policy);
	assert.deepEqual(resolveNet({ mode: "none" }, policy), { mode: "none" });
	assert.equal(resolveNet(null, null), null);
	assert.deepEqual(resolveNet(null, policy), policy);
	assert.deepEqual(resolveFs({ read: ["/workspace/a"] }, { read: ["workspace:**"], write: ["workspace:**"] }), {
		read: ["/workspace/a"],
		write: [],
	});
	assert.deepEqual(resolveFs(null, { read: ["/a"] }), { read: ["/a"], write: [] });
});

const entry = fc
	.tuple(fc.constantFrom("", "*."), fc.constantFrom("a.b.com", "b.com", "c.b.com", "d.org"), fc.constantFrom(80, 443))
	.map(([wild, name, port]) => `${wild}${name}:${port}`);
const entries = fc.array(entry, { maxLength: 5 });

test("intersected allowlists never widen, and do not depend on the order", () => {
	fc.assert(
		fc.property(entries, entries, entry, (left, right, probe) => {
			const both = intersectEntries(left, right);
			for (const kept of both) assert.ok(isEntryCovered(kept, left) && isEntryCovered(kept, right));
			if (isEntryCovered(probe, left) && isEntryCovered(probe, right)) assert.ok(isEntryCovered(probe, both));
			assert.deepEqual([...both].sort(), [...intersectEntries(right, left)].sort());
		}),
		{ numRuns: 2000 },
	);
});

const tier = fc.constantFrom<Tier>("skip", "needs_approval", "forbidden");
const rules = fc.dictionary(fc.constantFrom("host_profile", "net_unrestricted", "default"), tier);

test("approval: per key the strictest, in any order", () => {
	fc.assert(
		fc.property(rules, rules, (left, right) => {
			const merged = mergeApproval([left, right]);
			assert.deepEqual(merged, mergeApproval([right, left]));
			for (const key of Object.keys(merged)) assert.equal(merged[key], strictestTier(left[key], right[key]));
		}),
	);
});

test("approval: three keys act, others are inert", () => {
	const facts = { profile: "host", networkMode: "unrestricted", writesOutsideWorkspace: true };
	const all = {
		host_profile: "needs_approval",
		net_unrestricted: "forbidden",
		fs_outside_workspace: "skip",
		default: "forbidden",
	} as const;
	const { verdict, fired } = evaluateApproval(all, facts);
	assert.equal(verdict, "forbidden");
	assert.deepEqual(
		fired.map(({ key }) => key),
		["host_profile", "net_unrestricted"],
	);
	assert.match(fired[0]?.reason ?? "", /host/);
	assert.match(fired[1]?.reason ?? "", /net/);
	assert.equal(
		evaluateApproval(all, { profile: "untrusted", networkMode: "none", writesOutsideWorkspace: false }).verdict,
		"skip",
	);
	assert.equal(evaluateApproval({}, facts).verdict, "skip");
});

test("device patterns, DevicePolicyV1", () => {
	assert.equal(matchesCapability("*", "camera.snap"), true);
	assert.equal(matchesCapability("camera.*", "camera.snap.now"), true);
	assert.equal(matchesCapability("camera.*", "camera"), false);
	assert.equal(matchesCapability("camera.*", "cameras.snap"), false);
	assert.equal(matchesCapability("camera", "camera"), true);
	assert.deepEqual(intersectPatterns(["*"], ["camera.*", "x"]), ["camera.*", "x"]);
	assert.deepEqual(intersectPatterns(["a", "camera.*"], ["a", "camera.snap"]), ["a", "camera.snap"]);
	assert.deepEqual(intersectPatterns(["a"], ["b"]), []);
	const merged = mergeDevice([
		{ allowed: ["camera.*", "door.open"], denied: ["x"] },
		{ allowed: [], approval_required: ["camera.snap"] },
		{ allowed: ["camera.snap", "door.*"], denied: ["x", "y"] },
	]);
	assert.deepEqual(merged, {
		allowed: ["door.open", "camera.snap"],
		denied: ["x", "y"],
		approval_required: ["camera.snap"],
	});
	assert.deepEqual(mergeDevice([{ denied: ["x"] }]), { allowed: [], denied: ["x"], approval_required: [] });
});

test("device verdicts and the words in their reasons", () => {
	const device = { allowed: ["camera.*", "door.open"], denied: ["camera.erase"], approval_required: ["door.*"] };
	assert.deepEqual(
		["camera.snap", "camera.erase", "lamp.on", "door.open"].map(
			(capability) => evaluateDevice(capability, device).verdict,
		),
		["allowed", "denied", "denied", "needs_approval"],
	);
	assert.match(evaluateDevice("camera.erase", device).reason, /explicitly denied/);
	assert.match(evaluateDevice("lamp.on", device).reason, /not in allowed/);
	assert.equal(evaluateDevice("anything", {}).verdict, "denied");
});

const pattern = fc.constantFrom("*", "a.*", "a.b.*", "a.b", "a", "b.*", "b.c");
const patterns = fc.array(pattern, { maxLength: 4 });
test("device intersections never widen, and match alike in either order", () => {
	const matches = (list: readonly string[], capability: string) =>
		list.some((item) => matchesCapability(item, capability));
	fc.assert(
		fc.property(
			patterns,
			patterns,
			fc.constantFrom("a", "a.b", "a.b.c", "a.x", "b.c", "z"),
			(left, right, capability) => {
				const expected = matches(left, capability) && matches(right, capability);
				assert.equal(matches(intersectPatterns(left, right), capability), expected);
				assert.equal(matches(intersectPatterns(right, left), capability), expected);
			},
		),
		{ numRuns: 2000 },
	);
});
