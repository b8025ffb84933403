import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { RATES } from "../../src/api/index.ts";
import { inWorlds } from "./in-worlds.ts";
import { STOCK_HEARTBEAT, StockNode } from "./stock-node.ts";
import { API, newFacility, submit, type World } from "./world.ts";

/** What one test left in the queue is not another's. */
async function emptyQueue(world: World): Promise<void> {
	world.pass(301_000);
	await world.runJobs();
	const { body } = await world.as("owner", "GET", `${API}/directives?state=queued&limit=500`);
	for (const { id } of body.directives) await world.as("owner", "POST", `${API}/directives/${id}/cancel`);
}

async function auditOf(world: World, directiveId: string): Promise<readonly string[]> {
	const { body } = await world.as("auditor", "GET", `${API}/audit_events?directive_id=${directiveId}&limit=100`);
	return body.audit_events.map((event: { event_type: string }) => event.event_type);
}

inWorlds("polling and leases (conduits 2.3.2, 2.3.3, 5)", (world) => {
	test("a heartbeat as nexusd sends it is stored and answered", async () => {
		const node = await StockNode.join(world());
		const { status, body } = await node.heartbeat();
		assert.equal(status, 200);
		assert.deepEqual(body, {
			ok: true,
			territory_id: node.territoryId,
			next_heartbeat_interval_seconds: 30,
			websocket_connected: false,
		});
		const shown = await world().as("owner", "GET", `${API}/territories/${node.territoryId}`);
		assert.equal(shown.body.nexus_version, "0.1.0-dev");
		assert.deepEqual(shown.body.labels, { os: "linux" });
		assert.equal(shown.body.capacity.untrusted_driver, "bwrap");
		// Blank and empty values change nothing.
		await node.heartbeat({ nexus_version: " ", labels: {}, capacity: {}, capabilities: [], runtime_status: {} });
		const after = await world().as("owner", "GET", `${API}/territories/${node.territoryId}`);
		assert.equal(after.body.nexus_version, "0.1.0-dev");
		assert.deepEqual(after.body.capacity, shown.body.capacity);
	});

	test("an offline territory is online again after a heartbeat; silence makes it offline", async () => {
		const node = await StockNode.join(world());
		world().pass(301_000);
		await world().runJobs();
		const path = `${API}/territories/${node.territoryId}`;
		assert.equal((await world().as("owner", "GET", path)).body.status, "offline");
		await node.heartbeat({});
		assert.equal((await world().as("owner", "GET", path)).body.status, "online");
	});

	test("the eleventh heartbeat in a minute, and a poll beyond all that a busy node needs, are 429 with Retry-After 60", async () => {
		const node = await StockNode.join(world());
		for (let index = 0; index < 10; index++) assert.equal((await node.heartbeat({})).status, 200);
		const heartbeat = await node.heartbeat({});
		assert.deepEqual([heartbeat.status, heartbeat.headers.get("retry-after")], [429, "60"]);
		for (let index = 0; index < RATES.poll.requests; index++)
			assert.equal((await node.post("/conduits/v1/polls")).status, 200);
		const poll = await node.post("/conduits/v1/polls");
		assert.deepEqual([poll.status, poll.headers.get("retry-after"), poll.body.error], [429, "60", "rate_limited"]);
	});

	test("an empty poll says when to ask again; a full one says at once", async () => {
		await emptyQueue(world());
		const node = await StockNode.join(world());
		const empty = await node.post("/conduits/v1/polls", {});
		assert.deepEqual(empty.body, { directives: [], lease_ttl_seconds: 300, retry_after_seconds: 2 });
		await submit(world());
		const full = await node.post("/conduits/v1/polls", {});
		assert.equal(full.body.directives.length, 1);
		assert.equal(full.body.retry_after_seconds, 0);
	});

	test("a lease has the shape that nexusd decodes, in types it accepts", async () => {
		await emptyQueue(world());
		const node = await StockNode.join(world());
		const limits = { cpu: 1500, memory_mb: 512, max_output_bytes: 1000 };
		const requested_capabilities = { net: { mode: "allowlist", allow: ["github.com:443"] }, odd: { kept: false } };
		const id = await submit(world(), { limits, requested_capabilities, env_allowlist: ["A"], timeout_seconds: 60 });
		const [lease] = await node.poll();
		assert.equal(lease.directive_id, id);
		assert.equal(lease.directive_token.split(".").length, 3);
		const { spec } = lease;
		assert.equal(spec.directive_id, id);
		assert.equal(spec.facility.mount, "/workspace");
		assert.ok(!("repo_url" in spec.facility), "repo_url is left out when there is none");
		assert.deepEqual(
			[spec.sandbox_profile, spec.command, spec.shell, spec.cwd, spec.timeout_seconds],
			["untrusted", "echo hello", "/bin/sh", "/workspace", 60],
		);
		assert.deepEqual(spec.limits, limits);
		assert.deepEqual(spec.capabilities.fs, { read: ["workspace:**"], write: ["workspace:**"] });
		assert.deepEqual(spec.capabilities.net, { mode: "allowlist", allow: ["github.com:443"] });
		assert.deepEqual(spec.capabilities.secrets, {});
		assert.deepEqual(spec.capabilities.sandbox_profile_rules, {});
		assert.deepEqual(spec.artifacts, {});
		const text = JSON.stringify(spec);
		for (const secret of [world().account.owner.accountId, "env_allowlist", "env_refs"])
			assert.ok(!text.includes(secret), secret);
		// Ours: unknown to nexusd.
		assert.equal(typeof lease.lease_id, "string");
		assert.equal(lease.workload.schema, "vouch.workload/v1");
		assert.equal(typeof lease.decision.payload, "string");
	});

	test("nothing said of the network is mode none, not an empty object", async () => {
		await emptyQueue(world());
		const node = await StockNode.join(world());
		await submit(world());
		const [lease] = await node.poll();
		assert.deepEqual(lease.spec.capabilities.net, { mode: "none" });
	});

	test("the token names directive and territory, is HS256 and lasts 300 seconds", async () => {
		await emptyQueue(world());
		const node = await StockNode.join(world());
		const id = await submit(world());
		await node.claim(id);
		const [head, claims] = node
			.tokenOf(id)
			.split(".")
			.slice(0, 2)
			.map((part) => JSON.parse(Buffer.from(part, "base64url").toString()));
		assert.equal(head.alg, "HS256");
		assert.equal(claims.sub, id);
		assert.equal(claims.tid, node.territoryId);
		assert.equal(claims.exp - claims.iat, 300);
	});

	test("an account's directives go to its own territories, of any facility, by profile", async () => {
		await emptyQueue(world());
		const foreign = await StockNode.join(world(), world().stranger);
		const node = await StockNode.join(world());
		await submit(world(), { sandbox_profile: "darwin-automation" });
		assert.deepEqual(await foreign.poll({ max_directives_to_claim: 5 }), []);
		assert.deepEqual(await node.poll(), []);
		const asked = { supported_sandbox_profiles: ["darwin-automation"] };
		assert.equal((await node.poll(asked)).length, 1);
		const plain = await submit(world());
		const fresh = await StockNode.join(world());
		const missing = await fresh.post("/conduits/v1/polls", {});
		assert.deepEqual(
			missing.body.directives.map((lease: { directive_id: string }) => lease.directive_id),
			[plain],
			"no profiles means untrusted",
		);
	});

	test("an image and secrets are for nodes that run workloads; who runs specifications gets what stands behind them", async () => {
		await emptyQueue(world());
		const image = { reference: "tools", digest: `sha256:${"a".repeat(64)}` };
		const secrets = { allowed_refs: ["key"] };
		const { status, body: policy } = await world().as("owner", "POST", `${API}/policies`, { name: "secrets", secrets });
		assert.equal(status, 201);
		const needing = [
			await submit(world(), { image, priority: 9 }),
			await submit(world(), { requested_capabilities: { secrets: { refs: ["key"] } }, priority: 9 }),
			await submit(world(), { requested_capabilities: { secrets: { stdin: "key" } }, priority: 9 }),
			await submit(world(), { image, sandbox_profile: "vm", priority: 9 }),
		];
		const plain = await submit(world());
		const stock = await StockNode.join(world());
		await stock.claim(plain);
		const ours = await StockNode.join(world());
		await ours.heartbeat({ capacity: { max_concurrent: 10 } });
		const asked = { workload_schemas: ["vouch.workload/v1"], max_directives_to_claim: 5 };
		const first = await ours.poll({ ...asked, supported_sandbox_profiles: ["untrusted", "vm"] });
		assert.deepEqual(first.map((lease) => lease.directive_id).sort(), needing.toSorted());
		const withImage = first.filter(({ workload }) => workload.root.kind === "image");
		assert.deepEqual(
			withImage.map(({ workload }) => workload.root.digest),
			[image.digest, image.digest],
		);
		await world().as("owner", "DELETE", `${API}/policies/${policy.id}`);
	});

	test("odd numbers of claims are coerced to at least one and at most five", async () => {
		await emptyQueue(world());
		for (let index = 0; index < 8; index++) await submit(world());
		const node = await StockNode.join(world());
		const capacity = { capacity: { max_concurrent: 100 } };
		await node.heartbeat(capacity);
		assert.equal((await node.poll({ max_directives_to_claim: -3 })).length, 1);
		assert.equal((await node.poll({ max_directives_to_claim: 99 })).length, 5);
		assert.equal((await node.poll({ max_directives_to_claim: "1" })).length, 1);
	});

	test("a node that says nothing of its capacity holds one at a time, counted by the server", async () => {
		await emptyQueue(world());
		for (let index = 0; index < 3; index++) await submit(world());
		const node = await StockNode.join(world());
		await node.heartbeat();
		const [lease] = await node.poll({ max_directives_to_claim: 5 });
		assert.deepEqual(await node.poll({ max_directives_to_claim: 5 }), []);
		assert.equal((await node.started(lease.directive_id)).status, 200);
		assert.deepEqual(await node.poll(), []);
		assert.equal((await node.finished(lease.directive_id)).status, 200);
		assert.equal((await node.poll()).length, 1);
	});

	test("a profile whose sandbox is not healthy is not leased, and others behind it are", async () => {
		await emptyQueue(world());
		const unhealthy = { ...STOCK_HEARTBEAT.capacity, sandbox_health: { bwrap: { healthy: false } } };
		const node = await StockNode.join(world());
		await node.heartbeat({ capacity: unhealthy });
		await submit(world());
		const host = await submit(world(), { sandbox_profile: "host" });
		assert.deepEqual(
			(await node.poll()).map((lease) => lease.directive_id),
			[host],
		);
	});

	test("a facility has one directive at a time; blocked ones do not starve others", async () => {
		await emptyQueue(world());
		const facility = await newFacility(world());
		const ids: string[] = [];
		for (let index = 0; index < 3; index++) {
			const path = `${API}/facilities/${facility}/directives`;
			ids.push((await world().as("owner", "POST", path, { command: `echo ${index}` })).body.directive_id);
		}
		const other = await submit(world());
		const node = await StockNode.join(world());
		await node.heartbeat({ capacity: { max_concurrent: 10 } });
		const leases = await node.poll({ max_directives_to_claim: 5 });
		assert.deepEqual(leases.map((lease) => lease.directive_id).sort(), [ids[0], other].sort());
		await node.started(ids[0] ?? "");
		await node.finished(ids[0] ?? "");
		assert.deepEqual(
			(await node.poll({ max_directives_to_claim: 5 })).map((lease) => lease.directive_id),
			[ids[1]],
		);
	});

	test("a lease that nobody began is given again after 300 seconds; its first holder is refused then", async () => {
		await emptyQueue(world());
		const [first, second] = [await StockNode.join(world()), await StockNode.join(world())];
		const id = await submit(world());
		await first.claim(id);
		world().pass(200_000);
		await world().runJobs();
		assert.deepEqual(await second.poll(), []);
		world().pass(101_000);
		await world().runJobs();
		await second.claim(id);
		const refused = await first.report(id, "started");
		assert.ok([401, 403].includes(refused.status), `${refused.status}`);
		assert.ok((await auditOf(world(), id)).includes("directive.lease_expired"));
		assert.equal((await second.started(id)).status, 200);
	});

	test("a running directive whose node fell silent is ended, and its facility is free again", async () => {
		await emptyQueue(world());
		const node = await StockNode.join(world());
		const id = await submit(world());
		await node.claim(id);
		await node.started(id);
		world().pass(301_000);
		await world().runJobs();
		const { body } = await world().as("owner", "GET", `${API}/directives/${id}`);
		assert.deepEqual([body.state, body.end_reason], ["failed", "territory_lost"]);
		const facility = await world().as("owner", "GET", `${API}/facilities/${body.facility_id}`);
		assert.equal(facility.body.locked_by_directive_id, null);
	});

	test("what a policy forbids by now is canceled at the poll, and new capabilities replace the old", async () => {
		await emptyQueue(world());
		const node = await StockNode.join(world());
		const id = await submit(world(), { requested_capabilities: { net: { mode: "unrestricted" } } });
		const policy = await world().as("owner", "POST", `${API}/policies`, { name: "no net", net: { mode: "none" } });
		assert.equal(policy.status, 201, JSON.stringify(policy.body));
		const [lease] = await node.poll();
		assert.deepEqual(lease.spec.capabilities.net, { mode: "none" });
		assert.ok((await auditOf(world(), id)).includes("directive.lease_policy_revalidated"));
		await world().as("owner", "DELETE", `${API}/policies/${policy.body.id}`);

		const host = await submit(world(), { sandbox_profile: "host" });
		const rule = { name: "no host", approval: { host_profile: "forbidden" } };
		const forbids = await world().as("owner", "POST", `${API}/policies`, rule);
		assert.deepEqual(await (await StockNode.join(world())).poll(), []);
		const { state, end_reason } = (await world().as("owner", "GET", `${API}/directives/${host}`)).body;
		assert.deepEqual([state, end_reason], ["canceled", "policy_forbidden"]);
		assert.ok((await auditOf(world(), host)).includes("directive.lease_policy_revalidated"));
		await world().as("owner", "DELETE", `${API}/policies/${forbids.body.id}`);
	});

	test("polls at once never get one directive twice", async () => {
		await emptyQueue(world());
		const ids = new Set<string>();
		for (let index = 0; index < 12; index++) ids.add(await submit(world()));
		const nodes = await Promise.all(Array.from({ length: 16 }, () => StockNode.join(world())));
		const leases = (await Promise.all(nodes.map((node) => node.poll()))).flat();
		await sleep(1);
		for (const node of nodes) leases.push(...(await node.poll()));
		const given = leases.map((lease) => lease.directive_id);
		assert.equal(new Set(given).size, given.length);
		assert.deepEqual(new Set(given), ids);
	});

	test("bodies of the wrong form are 422 and name the member; unknown members are ignored", async () => {
		const node = await StockNode.join(world());
		for (const [json, member] of [
			[{ supported_sandbox_profiles: "host" }, "supported_sandbox_profiles"],
			[{ supported_sandbox_profiles: [1] }, "supported_sandbox_profiles.0"],
			[{ max_directives_to_claim: {} }, "max_directives_to_claim"],
			[[], "the body"],
		] as const) {
			const { status, body } = await node.post("/conduits/v1/polls", json);
			assert.equal(status, 422, JSON.stringify(json));
			assert.ok(
				body.details.some((detail: string) => detail.startsWith(member)),
				`${JSON.stringify(body)} names ${member}`,
			);
		}
		assert.equal((await node.post("/conduits/v1/polls", { telemetry: { any: [1] } })).status, 200);
	});
});
