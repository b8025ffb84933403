import assert from "node:assert/strict";
import { test } from "node:test";
import { inWorlds } from "./in-worlds.ts";
import { API, newFacility } from "./world.ts";

inWorlds("what is asked for twice at once", (world) => {
	test("twenty equal requests with one Idempotency-Key make one directive, and each is told of it", async () => {
		const path = `${API}/facilities/${await newFacility(world())}/directives`;
		const headers = { ...world().account.headersOf("member"), "idempotency-key": "once" };
		const json = { command: "make" };
		const answers = await Promise.all(Array.from({ length: 20 }, () => world().ask("POST", path, { headers, json })));
		assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]));
		assert.equal(new Set(answers.map(({ body }) => body.directive_id)).size, 1);
		const made = await world().as("member", "GET", path);
		assert.equal(made.body.directives.length, 1);
		const other = await world().ask("POST", path, { headers, json: { command: "rm -rf ." } });
		assert.deepEqual([other.status, other.body.error], [409, "idempotency_conflict"]);
	});
});
