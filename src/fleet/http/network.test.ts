import assert from "node:assert/strict";
import test from "node:test";
import { networkOf } from "./network.ts";

const SAME = [
	["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:192.0.2.1"],
	["2001:db8::1", "2001:db8::2", "2001:0db8:0:0:1:2:3:4", "2001:DB8:0::ffff"],
	["fe80::1", "fe80::2%eth0"],
	["::1", "::2"],
	["::", "0:0:0:0:ffff::"],
];

test("an address is its owner's however it is written, and no other's", () => {
	for (const group of SAME) assert.equal(new Set(group.map(networkOf)).size, 1, group.join(", "));
	assert.equal(
		new Set(SAME.map(([first = ""]) => networkOf(first))).size,
		SAME.length - 1,
		"::1 and :: are of one network",
	);
	assert.notEqual(networkOf("192.0.2.1"), networkOf("192.0.2.2"));
	assert.notEqual(networkOf("2001:db8::1"), networkOf("2001:db8:0:1::1"));
	assert.equal(networkOf("nonsense"), "nonsense");
});
