import assert from "node:assert/strict";
import test from "node:test";
import { RATES, type Rate, type RateName } from "../../api/index.ts";
import { RateLimiter } from "./rate-limiter.ts";

const RATE_ROWS = Object.entries(RATES) as [RateName, Rate][];

for (const [name, { requests, windowMs }] of RATE_ROWS.filter(([, { past }]) => past === "refused")) {
	test(`${name}: ${requests} pass, the next is told when to ask again, and then it passes`, () => {
		const limiter = new RateLimiter();
		for (let count = 0; count < requests; count++) assert.equal(limiter.refuse(name, "one", 1000), undefined);
		assert.equal(limiter.refuse(name, "one", 1000 + windowMs - 1), windowMs / 1000);
		assert.equal(limiter.refuse(name, "another", 1000), undefined, "each credential has a window of its own");
		assert.equal(limiter.refuse(name, "one", 1000 + windowMs), undefined);
	});
}

for (const [name, { requests, windowMs }] of RATE_ROWS.filter(([, { past }]) => past === "waits")) {
	test(`${name}: ${requests} pass at once, and who goes on waits a turn each time and is never refused`, () => {
		const limiter = new RateLimiter();
		let nowMs = 1000;
		for (let count = 0; count < requests; count++) assert.equal(limiter.pause(name, "one", nowMs), 0);
		assert.equal(limiter.pause(name, "another", nowMs), 0);
		for (let count = 0; count < 3 * requests; count++) {
			const pauseMs = limiter.pause(name, "one", nowMs) ?? assert.fail("it was refused");
			assert.ok(pauseMs <= (2 * windowMs) / requests, `${pauseMs} ms`);
			nowMs += pauseMs;
		}
		assert.ok(nowMs - 1000 > 2.9 * windowMs, "at the window's rate");
		assert.equal(limiter.pause(name, "one", nowMs + windowMs), 0, "who rested may hurry again");
	});

	test(`${name}: of thousands at once none waits longer than nodes do`, () => {
		const limiter = new RateLimiter();
		const pauses = Array.from({ length: 3 * requests }, () => limiter.pause(name, "one", 0));
		const longest = Math.max(...pauses.filter((pause) => pause !== undefined));
		assert.ok(longest <= 5_000, `${longest} ms`);
		assert.ok(pauses.includes(undefined));
	});
}

test("one name's window is no other's, and as many callers as there may be cost a bounded memory", () => {
	const limiter = new RateLimiter();
	for (let count = 0; count <= RATES.poll.requests; count++) limiter.refuse("poll", "one", 0);
	assert.equal(limiter.pause("log-chunk", "one", 0), 0, "who polls too often loses no output");
	for (let caller = 0; caller < 150_000; caller++) limiter.refuse("people", String(caller), 0);
	assert.equal(limiter.refuse("people", "one more", 0), undefined);
});
