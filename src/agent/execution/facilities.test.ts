import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { Facilities } from "./facilities.ts";

const HOUR_MS = 3_600_000;
const AGES = { idleMs: 24 * HOUR_MS, oldMs: 7 * 24 * HOUR_MS };
const nothing = async (): Promise<void> => {};

function folder(context: TestContext): string {
	const directory = mkdtempSync(join(tmpdir(), "vouch-facilities-"));
	context.after(() => rmSync(directory, { recursive: true }));
	return directory;
}

test("one writer at a time in each, in the order in which they came; others go on meanwhile", async (context) => {
	const facilities = new Facilities(folder(context));
	const events: string[] = [];
	const first = Promise.withResolvers<void>();
	const work = (name: string, until: Promise<void>) => async (): Promise<void> => {
		events.push(`${name} begins`);
		await until;
		events.push(`${name} ends`);
	};
	const a1 = facilities.use("a", 0, nothing, work("a1", first.promise));
	const a2 = facilities.use("a", 0, nothing, work("a2", Promise.resolve()));
	await facilities.use("b", 0, nothing, work("b", Promise.resolve()));
	first.resolve();
	await Promise.all([a1, a2]);
	assert.deepEqual(
		events.filter((event) => event.startsWith("a")),
		["a1 begins", "a1 ends", "a2 begins", "a2 ends"],
	);
	assert.ok(events.indexOf("b ends") < events.indexOf("a1 ends"));
});

test("a failed one does not stop the next", async (context) => {
	const facilities = new Facilities(folder(context));
	await assert.rejects(facilities.use("a", 0, nothing, () => Promise.reject(new Error("no"))));
	assert.equal(await facilities.use("a", 0, nothing, async () => "yes"), "yes");
});

test("what was left half-prepared is prepared anew; what is ready is kept", async (context) => {
	const directory = folder(context);
	const half = async (at: string): Promise<void> => {
		writeFileSync(join(at, "half"), "");
		throw new Error("killed");
	};
	await assert.rejects(new Facilities(directory).use("a", 0, half, nothing));
	const whole = async (at: string): Promise<void> => writeFileSync(join(at, "whole"), "");
	const found = await new Facilities(directory).use("a", 0, whole, async (at) => readdirSync(at));
	assert.deepEqual(found, ["whole"]);
	const again = await new Facilities(directory).use(
		"a",
		0,
		() => assert.fail("prepared twice"),
		async (at) => readdirSync(at),
	);
	assert.deepEqual(again, ["whole"]);
});

test("a folder that a person filled is taken as it is", async (context) => {
	const directory = folder(context);
	mkdirSync(join(directory, "a"));
	writeFileSync(join(directory, "a", "file"), "mine");
	const facilities = new Facilities(directory);
	const text = await facilities.use(
		"a",
		0,
		() => assert.fail("prepared"),
		async (at) => readFileSync(join(at, "file"), "utf8"),
	);
	assert.equal(text, "mine");
});

test("an id that is no plain name is nowhere", async (context) => {
	const facilities = new Facilities(folder(context));
	for (const id of ["", ".", "..", "a/b", "../up", ".vouch", "a b", "a\0"])
		await assert.rejects(facilities.use(id, 0, nothing, nothing), id);
});

test("idle and old ones are removed, what is used is not", async (context) => {
	const directory = folder(context);
	const facilities = new Facilities(directory);
	await facilities.use("idle", 0, nothing, nothing);
	await facilities.use("used", 0, nothing, nothing);
	await facilities.use("used", 20 * HOUR_MS, nothing, nothing);
	assert.deepEqual(await facilities.prune(24 * HOUR_MS, AGES), []);
	assert.deepEqual(await facilities.prune(25 * HOUR_MS, AGES), ["idle"]);
	assert.deepEqual([existsSync(join(directory, "idle")), existsSync(join(directory, "used"))], [false, true]);
	for (let day = 1; day <= 7; day++) await facilities.use("used", day * 24 * HOUR_MS, nothing, nothing);
	const held = Promise.withResolvers<void>();
	const using = facilities.use("used", 8 * 24 * HOUR_MS, nothing, () => held.promise);
	assert.deepEqual(await facilities.prune(9 * 24 * HOUR_MS, AGES), []);
	held.resolve();
	await using;
	assert.deepEqual(await facilities.prune(9 * 24 * HOUR_MS, { idleMs: 0, oldMs: 0 }), []);
	assert.deepEqual(await facilities.prune(9 * 24 * HOUR_MS, AGES), ["used"]);
});
