import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { API, openWorld, type World } from "./world.ts";

const ENROLLMENTS = 10;
const home = mkdtempSync(join(tmpdir(), "vouch-test-proxies-"));
after(() => rmSync(home, { recursive: true, force: true }));

async function inWorld(name: string, trustedProxies: readonly string[], use: (world: World) => Promise<void>) {
	const world = await openWorld(`sqlite:${join(home, name)}`, { trustedProxies });
	await use(world).finally(() => world.close());
}

function enroll(world: World, forwarded: string): Promise<{ readonly status: number }> {
	const asking = { json: { enroll_token: "none" }, headers: { "x-forwarded-for": forwarded } };
	return world.ask("POST", "/conduits/v1/territories/enroll", asking);
}

test("behind a trusted proxy each client has limits of its own, and audit names it", () =>
	inWorld("trusted", ["127.0.0.0/8"], async (world) => {
		for (let count = 0; count < ENROLLMENTS; count++) assert.equal((await enroll(world, "192.0.2.1")).status, 422);
		assert.equal((await enroll(world, "192.0.2.1")).status, 429);
		assert.equal((await enroll(world, "192.0.2.2")).status, 422);
		assert.equal((await enroll(world, "192.0.2.1, 192.0.2.3")).status, 422, "the nearest that is no proxy counts");
		const headers = { ...world.account.headersOf("owner"), "x-forwarded-for": "192.0.2.9" };
		await world.ask("POST", `${API}/facilities`, { json: {}, headers });
		const { body } = await world.as("owner", "GET", `${API}/audit_events?event_type=api.facilities.create`);
		assert.equal(body.audit_events[0].context.address, "192.0.2.9");
	}));

test("without one, what a client claims of its address changes nothing", () =>
	inWorld("untrusted", [], async (world) => {
		for (let count = 0; count < ENROLLMENTS; count++)
			assert.equal((await enroll(world, `192.0.2.${count}`)).status, 422);
		assert.equal((await enroll(world, "192.0.2.200")).status, 429);
	}));
