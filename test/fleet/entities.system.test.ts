import assert from "node:assert/strict";
import { test } from "node:test";
import { inWorlds } from "./in-worlds.ts";
import { StockNode } from "./stock-node.ts";
import { API, type Parsed } from "./world.ts";

const LAMP = {
	entity_ref: "light.lamp",
	entity_type: "light",
	display_name: "Lamp",
	capabilities: ["iot.light.control"],
	location: "home/living_room",
	state: { on: true },
};
const LOCK = { entity_ref: "lock.door", entity_type: "lock", capabilities: ["iot.lock"], location: "home/100%" };

inWorlds("devices behind bridges", (world) => {
	const list = async (query = ""): Promise<Parsed[]> =>
		(await world().as("auditor", "GET", `${API}/bridge_entities?${query}`)).body.bridge_entities;
	const refs = async (query: string) => (await list(query)).map(({ entity_ref }) => entity_ref).sort();

	test("are listed and shown as their bridge told of them, narrowed by every filter", async () => {
		const bridge = await StockNode.join(world(), world().account, "bridge");
		assert.equal((await bridge.heartbeat({ bridge_entities: [LAMP, LOCK] })).status, 200);
		const [lamp] = await list("entity_type=light");
		const { id, created_at, updated_at, last_seen_at, ...told } = lamp;
		assert.deepEqual(told, { ...LAMP, territory_id: bridge.territoryId, available: true });
		assert.ok(Date.parse(last_seen_at) > 0 && Date.parse(created_at) > 0 && Date.parse(updated_at) > 0);
		assert.deepEqual((await world().as("member", "GET", `${API}/bridge_entities/${id}`)).body, lamp);
		for (const [query, found] of [
			[`territory_id=${bridge.territoryId}`, ["light.lamp", "lock.door"]],
			["capability=iot.light.control", ["light.lamp"]],
			["capability=iot.light", []],
			["location=home/", ["light.lamp", "lock.door"]],
			["location=home/living_", ["light.lamp"]],
			["location=home/living-", []],
			["location=home/livingXroom", []],
			["location=home/100%25", ["lock.door"]],
			["location=home/%25", []],
			["available=false", []],
		] as const)
			assert.deepEqual(await refs(query), found, query);
	});

	test("one that its bridge names no more is unavailable, and is not forgotten", async () => {
		const bridge = await StockNode.join(world(), world().account, "bridge");
		const of = `territory_id=${bridge.territoryId}`;
		await bridge.heartbeat({ bridge_entities: [LAMP, LOCK] });
		await bridge.heartbeat({ bridge_entities: [LAMP] });
		assert.deepEqual(await refs(`${of}&available=true`), ["light.lamp"]);
		assert.deepEqual(await refs(`${of}&available=false`), ["lock.door"]);
		await bridge.heartbeat({ bridge_entities: [LOCK] });
		assert.deepEqual(await refs(`${of}&available=true`), ["lock.door"]);
	});

	test("nobody else's are seen", async () => {
		const bridge = await StockNode.join(world(), world().stranger, "bridge");
		await bridge.heartbeat({ bridge_entities: [LAMP] });
		assert.deepEqual(await list(`territory_id=${bridge.territoryId}`), []);
		const headers = world().stranger.headersOf("owner");
		const theirs = await world().ask("GET", `${API}/bridge_entities`, { headers });
		const path = `${API}/bridge_entities/${theirs.body.bridge_entities[0].id}`;
		assert.equal((await world().ask("GET", path, { headers })).status, 200);
		assert.equal((await world().as("owner", "GET", path)).status, 404);
	});

	test("a territory's location and tags are matched sign by sign as well", async () => {
		const node = await StockNode.join(world());
		await world().as("owner", "PATCH", `${API}/territories/${node.territoryId}`, {
			location: "lab/rack_1",
			tags: ["gpu_100%", 'quo"te'],
		});
		const found = async (query: string) =>
			(await world().as("member", "GET", `${API}/territories?${query}`)).body.territories.length;
		for (const query of ["location=lab/rack_", "tag=gpu_100%25", 'tag=quo"te'])
			assert.equal(await found(query), 1, query);
		for (const query of ["location=lab/rackX", "location=ab/", "tag=gpu_", "tag=quo", "tag=gpuX100%25"])
			assert.equal(await found(query), 0, query);
	});
});
