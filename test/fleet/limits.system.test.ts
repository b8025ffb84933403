import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { RATES } from "../../src/api/index.ts";
import { StockNode } from "./stock-node.ts";
import { API, openWorld, type World, type WorldOptions } from "./world.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-test-limits-"));
after(() => rmSync(home, { recursive: true, force: true }));

/** Limits are a control plane's own: the store behind it makes no difference. */
async function inWorld(use: (world: World) => Promise<void>, options: WorldOptions = {}): Promise<void> {
	const world = await openWorld(`sqlite:${join(mkdtempSync(join(home, "world-")), "store.sqlite")}`, options);
	await use(world).finally(() => world.close());
}

const HEARTBEAT = "/conduits/v1/territories/heartbeat";

const guess = (world: World, token: string) =>
	world.ask("GET", `${API}/whoami`, { headers: { authorization: `Bearer ${token}` } });

test("who shows wrong credentials is slowed down, and a good one from the same address never is", () =>
	inWorld(async (world) => {
		const { body: made } = await world.as("owner", "POST", `${API}/tokens`, { name: "good" });
		const { requests } = RATES["wrong-credential"];
		for (let count = 0; count < requests; count++) assert.equal((await guess(world, `wrong-${count}`)).status, 401);
		const before = performance.now();
		const late = await guess(world, "one too many");
		assert.deepEqual([late.status, late.body.error, late.headers.get("retry-after")], [429, "rate_limited", "60"]);
		assert.ok(performance.now() - before > 900, "it is answered late");
		// While guesses wait for their answers.
		const guesses = Array.from({ length: 20 }, (_, count) => guess(world, `more-${count}`));
		const node = await StockNode.join(world);
		for (let count = 0; count < 20; count++) {
			assert.equal((await guess(world, made.token)).status, 200);
			assert.equal((await node.post("/conduits/v1/polls")).status, 200);
		}
		assert.deepEqual(new Set((await Promise.all(guesses)).map(({ status }) => status)), new Set([429]));
		world.pass(60_000);
		assert.equal((await guess(world, "after a minute")).status, 401);
	}));

test("nobody uses up what is another's by naming them", () =>
	inWorld(
		async (world) => {
			const victim = await StockNode.enroll(world, {}, "proxy");
			const named = { "x-nexus-territory-id": victim.territoryId };
			for (let count = 0; count < RATES["territory-heartbeat"].requests + 20; count++) {
				const { status } = await world.ask("POST", HEARTBEAT, { json: {}, headers: named });
				assert.equal(status, 401);
			}
			assert.equal((await victim.post(HEARTBEAT)).status, 200);
		},
		{ mode: "mtls" },
	));

test("nodes behind one address without a header, known by their certificates, have windows of their own", () =>
	inWorld(async (world) => {
		for (const node of [await StockNode.enroll(world, {}, "proxy"), await StockNode.enroll(world, {}, "proxy")])
			for (let count = 0; count < 8; count++) assert.equal((await node.post(HEARTBEAT)).status, 200);
	}));
