import assert from "node:assert/strict";
import test from "node:test";
import { RATES, type RateName } from "../../api/index.ts";
import { RateLimiter } from "./rate-limiter.ts";

for (const [name, { requests, windowMs }] of Object.entries(RATES) as [
	RateName,
	{ requests: number; windowMs: number },
][]) {
	test(`${name}: ${requests} pass, the next is told when to ask again, and then it passes`, () => {
		const limiter = new RateLimiter();
		for (let count = 0; count < requests; count++) assert.equal(limiter.refuse(name, "one", 1000), undefined);
		assert.equal(limiter.refuse(name, "one", 1000 + windowMs - 1), windowMs / 1000);
		assert.equal(limiter.refuse(name, "another", 1000), undefined, "each credential has a window of its own");
		assert.equal(limiter.refuse(name, "one", 1000 + windowMs), undefined);
	});
}

test("one name's window is no other's, and as many callers as there may be cost a bounded memory", () => {
	const limiter = new RateLimiter();
	for (let count = 0; count <= RATES.poll.requests; count++) limiter.refuse("poll", "one", 0);
	assert.equal(limiter.refuse("log-chunk", "one", 0), undefined, "who polls too often loses no output");
	for (let caller = 0; caller < 150_000; caller++) limiter.refuse("people", String(caller), 0);
	assert.equal(limiter.refuse("people", "one more", 0), undefined);
});
