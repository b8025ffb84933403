import assert from "node:assert/strict";
import { test } from "node:test";
import { isOlder } from "./version.ts";

test("versions are compared by numbers alone", () => {
	for (const [version, other] of [
		["0.1.0", "0.2.0"],
		["0.9.9", "0.10.0"],
		["0.1.0-dev", "0.1.1-alpha"],
		["1", "1.0.1"],
		["", "0.0.1"],
	] as const) {
		assert.equal(isOlder(version, other), true, `${version} ${other}`);
		assert.equal(isOlder(other, version), false, `${other} ${version}`);
	}
	assert.equal(isOlder("1.2.0-dev", "1.2"), false);
});
