import assert from "node:assert/strict";
import { test } from "node:test";
import { inWorlds } from "./in-worlds.ts";
import { API } from "./world.ts";

inWorlds("an operation that is asked for within the process", (world) => {
	const facility = (headers: Readonly<Record<string, string>>, body: unknown) =>
		world().control.ask("facilities.create", { headers, body });

	test("is done and audited as by HTTP", async () => {
		const answer = await facility(world().account.headersOf("member"), { kind: "empty" });
		assert.ok(!("stream" in answer));
		assert.equal(answer.status, 201);
		const { id } = answer.body as { id: string };
		assert.equal((await world().as("member", "GET", `${API}/facilities/${id}`)).status, 200);
		const audit = await world().as("auditor", "GET", `${API}/audit_events?event_type=api.facilities.create`);
		assert.equal(audit.body.audit_events[0].outcome, "done");
	});

	test("is refused as by HTTP: without a credential, to another role, in another form", async () => {
		const { headersOf } = world().account;
		await assert.rejects(facility({}, { kind: "empty" }), { code: "unauthorized" });
		await assert.rejects(facility(headersOf("auditor"), { kind: "empty" }), { code: "forbidden" });
		await assert.rejects(facility(headersOf("member"), { kind: 7 }), { code: "validation-failed" });
	});
});
