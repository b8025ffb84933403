import assert from "node:assert/strict";
import { test } from "node:test";
import { CircuitBreaker } from "./back-off.ts";

test("the breaker opens after five failures for 30 s, each failed probe doubles that up to five minutes, and a good one closes it", () => {
	const breaker = new CircuitBreaker();
	const waits = Array.from({ length: 10 }, () => {
		breaker.failed();
		return breaker.waitMs / 1000;
	});
	assert.deepEqual(waits, [0, 0, 0, 0, 30, 60, 120, 240, 300, 300]);
	breaker.succeeded();
	assert.equal(breaker.waitMs, 0);
	for (let count = 0; count < 5; count++) breaker.failed();
	assert.equal(breaker.waitMs, 30_000);
});
