import assert from "node:assert/strict";
import { test } from "node:test";
import { inWorlds } from "./in-worlds.ts";
import { StockNode } from "./stock-node.ts";
import { API, submit, type World } from "./world.ts";

async function leased(world: World, more: Readonly<Record<string, unknown>> = {}): Promise<[StockNode, string]> {
	const node = await StockNode.join(world);
	const id = await submit(world, more);
	return [node, await node.claim(id)];
}

async function running(world: World, more: Readonly<Record<string, unknown>> = {}): Promise<[StockNode, string]> {
	const [node, id] = await leased(world, more);
	assert.equal((await node.started(id)).status, 200);
	return [node, id];
}

const shown = async (world: World, id: string) => (await world.as("owner", "GET", `${API}/directives/${id}`)).body;

inWorlds("who speaks for a directive (conduits 2.3.4)", (world) => {
	test("no territory, no token, a wrong one, another territory's and another directive's are refused in this order", async () => {
		const [node, id] = await running(world());
		const [other, otherId] = await running(world());
		const path = `/conduits/v1/directives/${id}/heartbeat`;
		const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
		const token = node.tokenOf(id);
		const forged = `${token.slice(0, -3)}${token.endsWith("AAA") ? "BBB" : "AAA"}`;
		const none = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${token.split(".")[1]}.`;
		const statusOf = async (headers: Record<string, string>) =>
			(await world().ask("POST", path, { json: {}, headers })).status;
		assert.equal(await statusOf(bearer(token)), 401, "no territory");
		assert.equal(await statusOf(node.headers), 401, "no token");
		assert.equal(await statusOf({ ...node.headers, authorization: `bearer ${token}` }), 401, "case-sensitive");
		assert.equal(await statusOf({ ...node.headers, ...bearer("x.y.z") }), 401, "malformed");
		assert.equal(await statusOf({ ...node.headers, ...bearer(forged) }), 401, "bad signature");
		assert.equal(await statusOf({ ...node.headers, ...bearer(none) }), 401, "no algorithm");
		assert.equal(await statusOf({ ...other.headers, ...bearer(token) }), 403, "another territory");
		assert.equal(await statusOf({ ...other.headers, ...bearer(other.tokenOf(otherId)) }), 403, "another directive");
		assert.equal(await statusOf({ ...node.headers, ...bearer(token) }), 200);
	});

	test("a token of a directive that isn't there is 404", async () => {
		const node = await StockNode.join(world());
		const directiveId = "01a1fce8-d646-7615-aa4c-de5ae8979835";
		const claims = { directiveId, territoryId: node.territoryId, leaseId: null };
		const authorization = `Bearer ${world().tokens.issue(claims, world().nowMs())}`;
		const path = `/conduits/v1/directives/${directiveId}/heartbeat`;
		assert.equal((await node.post(path, {}, { authorization })).status, 404);
	});

	test("a token is good for 300 seconds; each heartbeat gives a fresh one, and the older one stays good", async () => {
		const [node, id] = await running(world());
		const old = node.tokenOf(id);
		world().pass(200_000);
		const renewed = await node.report(id, "heartbeat", { progress: { state: "running" }, now: "2026-11-21T00:00:00Z" });
		assert.equal(renewed.status, 200);
		assert.equal(renewed.body.lease_renewed, true);
		assert.equal(renewed.body.cancel_requested, false);
		assert.notEqual(renewed.body.directive_token, old);
		const path = `/conduits/v1/directives/${id}/heartbeat`;
		assert.equal((await node.post(path, {}, { authorization: `Bearer ${old}` })).status, 200);
		world().pass(150_000);
		assert.equal((await node.post(path, {}, { authorization: `Bearer ${old}` })).status, 401);
		assert.equal((await node.report(id, "heartbeat")).status, 200);
	});

	test("what a node was refused is in the audit log", async () => {
		const [node] = await running(world());
		const [other, otherId] = await running(world());
		const path = `/conduits/v1/directives/${otherId}/finished`;
		const refused = await node.post(
			path,
			{ status: "succeeded" },
			{ authorization: `Bearer ${other.tokenOf(otherId)}` },
		);
		assert.equal(refused.status, 403);
		assert.equal((await shown(world(), otherId)).state, "running");
		const { body } = await world().as("auditor", "GET", `${API}/audit_events?event_type=node.refused`);
		const [event] = body.audit_events;
		assert.equal(event.territory_id, node.territoryId);
		assert.equal(event.directive_id, otherId);
		assert.equal(event.severity, "warn");
		assert.match(event.payload.reason, /another territory/);
	});
});

inWorlds("started (conduits 2.3.5)", (world) => {
	test("begins a leased directive, once; the same again is a duplicate", async () => {
		const [node, id] = await leased(world());
		const answer = { ok: true, directive_id: id, state: "running", duplicate: false };
		assert.deepEqual((await node.started(id)).body, answer);
		assert.deepEqual((await node.started(id)).body, { ...answer, duplicate: true });
		await node.finished(id);
		assert.deepEqual((await node.started(id)).body, { ...answer, state: "succeeded", duplicate: true });
	});

	test("another version than the stored one is 409; a blank one is none; an empty one is filled in", async () => {
		const [node, id] = await leased(world());
		assert.equal((await node.report(id, "started", { sandbox_version: "  " })).status, 200);
		assert.equal((await node.report(id, "started", { sandbox_version: "nexusd" })).body.duplicate, true);
		const conflict = await node.report(id, "started", { sandbox_version: "other" });
		assert.deepEqual([conflict.status, conflict.body.error], [409, "invalid_state"]);
		assert.equal((await node.report(id, "started", {})).status, 200);
	});
});

inWorlds("heartbeats and cancel (conduits 1.7, 2.3.6)", (world) => {
	test("a directive that is merely leased, or over, has no heartbeat", async () => {
		const [node, id] = await leased(world());
		const early = await node.report(id, "heartbeat");
		assert.deepEqual([early.status, early.body.error], [409, "invalid_state"]);
		await node.started(id);
		await node.finished(id);
		assert.equal((await node.report(id, "heartbeat")).status, 409);
	});

	test("a person's cancel reaches the node with its next heartbeat, and again changes nothing", async () => {
		const [node, id] = await running(world());
		const cancel = () => world().as("member", "POST", `${API}/directives/${id}/cancel`);
		assert.deepEqual((await cancel()).body, { directive_id: id, state: "running", cancel_requested: true });
		assert.equal((await cancel()).status, 200);
		assert.equal((await node.report(id, "heartbeat")).body.cancel_requested, true);
		assert.equal((await node.finished(id, { status: "canceled", exit_code: 137 })).status, 200);
		assert.equal((await shown(world(), id)).state, "canceled");
	});

	test("a directive that nobody runs is canceled at once", async () => {
		const id = await submit(world());
		const { body } = await world().as("member", "POST", `${API}/directives/${id}/cancel`);
		assert.equal(body.state, "canceled");
	});
});

inWorlds("log chunks (conduits 2.3.7)", (world) => {
	test("are stored once, with gaps, also after the end; a duplicate stores nothing", async () => {
		const [node, id] = await running(world());
		const first = await node.chunk(id, 0, "hello\n");
		assert.deepEqual(first.body, {
			ok: true,
			directive_id: id,
			stream: "stdout",
			seq: 0,
			stored: true,
			duplicate: false,
			accepted_bytes: 6,
			truncated: false,
		});
		const again = await node.chunk(id, 0, "other");
		assert.deepEqual([again.body.stored, again.body.duplicate, again.body.accepted_bytes], [false, true, 0]);
		assert.equal((await node.chunk(id, 7, "gap\n")).body.stored, true);
		await node.finished(id);
		assert.equal((await node.chunk(id, 9, "late\n")).body.stored, true);
		const directive = await shown(world(), id);
		const path = `${API}/facilities/${directive.facility_id}/directives/${id}/log_chunks?stream=stdout`;
		const { body } = await world().as("member", "GET", path);
		assert.deepEqual(
			body.chunks.map(({ seq, bytes_base64 }: { seq: number; bytes_base64: string }) => [
				seq,
				Buffer.from(bytes_base64, "base64").toString(),
			]),
			[
				[0, "hello\n"],
				[7, "gap\n"],
				[9, "late\n"],
			],
		);
		assert.equal(body.next_after_seq, 9);
		assert.equal(directive.stdout_bytes, 15);
	});

	test("are refused before the directive runs, and checked in the order of the protocol", async () => {
		const [node, id] = await leased(world());
		assert.equal((await node.chunk(id, 0, "x")).status, 409);
		await node.started(id);
		const good = { stream: "stdout", seq: 0, bytes: "aGk=" };
		for (const [wrong, said] of [
			[{ stream: "stdlog" }, "stream"],
			[{ stream: undefined, seq: -1 }, "stream"],
			[{ seq: -1 }, "seq"],
			[{ seq: undefined }, "seq"],
			[{ seq: 1.5 }, "seq"],
			[{ bytes: "abc" }, "bytes"],
			[{ bytes: "ab=c" }, "bytes"],
			[{ bytes: "a-b_" }, "bytes"],
			[{ bytes: undefined }, "bytes"],
			[{ bytes: Buffer.alloc(262_145).toString("base64") }, "bytes"],
		] as const) {
			const { status, body } = await node.report(id, "log_chunks", { ...good, ...wrong });
			assert.deepEqual([status, body.error], [422, "invalid_param"], JSON.stringify(wrong).slice(0, 80));
			assert.ok(body.detail.includes(said), `${body.detail} names ${said}`);
		}
		const largest = await node.report(id, "log_chunks", { ...good, bytes: Buffer.alloc(262_144).toString("base64") });
		assert.equal(largest.body.accepted_bytes, 262_144);
	});

	test("the text true counts as true, the text false as false", async () => {
		const [node, id] = await running(world());
		assert.equal((await node.chunk(id, 0, "x", { truncated: "false" })).body.truncated, false);
		assert.equal((await node.chunk(id, 1, "x", { truncated: "true" })).body.truncated, true);
		assert.equal((await shown(world(), id)).stdout_truncated, true);
		assert.equal((await shown(world(), id)).stderr_truncated, false);
	});

	test("are bounded by max_output_bytes of both streams together", async () => {
		const [node, id] = await running(world(), { limits: { max_output_bytes: 10 } });
		assert.equal((await node.chunk(id, 0, "123456")).body.accepted_bytes, 6);
		const partial = await node.chunk(id, 0, "abcdef", { stream: "stderr" });
		assert.deepEqual([partial.body.stored, partial.body.accepted_bytes, partial.body.truncated], [true, 4, true]);
		const over = await node.chunk(id, 1, "more");
		assert.deepEqual([over.body.stored, over.body.duplicate, over.body.truncated], [false, false, true]);
		const directive = await shown(world(), id);
		assert.deepEqual([directive.stdout_bytes, directive.stderr_bytes], [6, 4]);
		assert.deepEqual([directive.stdout_truncated, directive.stderr_truncated], [true, true]);
	});

	test("with the token of another directive are refused, audited, and written nowhere", async () => {
		const [node, id] = await running(world());
		const [other, otherId] = await running(world());
		const bytes = Buffer.from("forged").toString("base64");
		const send = (from: StockNode, token: string) =>
			from.post(
				`/conduits/v1/directives/${id}/log_chunks`,
				{ stream: "stdout", seq: 0, bytes },
				{ authorization: `Bearer ${token}` },
			);
		assert.equal((await send(other, other.tokenOf(otherId))).status, 403, "another territory's");
		await other.finished(otherId);
		await node.finished(id);
		const second = await submit(world());
		await node.claim(second);
		await node.started(second);
		assert.equal((await send(node, node.tokenOf(second))).status, 403, "its own, of another directive");
		for (const each of [id, otherId, second]) assert.equal((await shown(world(), each)).stdout_bytes, 0);
		const path = `${API}/audit_events?event_type=node.refused&directive_id=${id}`;
		const { body } = await world().as("auditor", "GET", path);
		const who = body.audit_events.map(({ territory_id }: { territory_id: string }) => territory_id);
		assert.deepEqual(who.sort(), [node.territoryId, other.territoryId].sort());
	});

	test("several a second for minutes are never refused for being many", async () => {
		const [node, id] = await running(world());
		for (let seq = 0; seq < 400; seq++) assert.equal((await node.chunk(id, seq, "line\n")).status, 200);
	});
});

inWorlds("finished (conduits 2.3.8)", (world) => {
	test("ends a directive by each status, frees its facility, and is a duplicate when said again", async () => {
		for (const status of ["succeeded", "failed", "canceled", "timed_out"]) {
			const [node, id] = await running(world());
			const first = await node.finished(id, { status, exit_code: 3 });
			assert.deepEqual(first.body, { ok: true, directive_id: id, final_state: status, duplicate: false });
			const again = await node.finished(id, { status, exit_code: 3, finished_at: "2026-11-21T09:00:00Z" });
			assert.deepEqual(again.body, { ok: true, directive_id: id, final_state: status, duplicate: true });
			const directive = await shown(world(), id);
			assert.deepEqual([directive.state, directive.exit_code, directive.finished_status], [status, 3, status]);
			const facility = await world().as("owner", "GET", `${API}/facilities/${directive.facility_id}`);
			assert.equal(facility.body.locked_by_directive_id, null);
		}
	});

	test("said otherwise a second time is 409 and audited; nothing changes", async () => {
		const [node, id] = await running(world());
		await node.finished(id, { exit_code: 0 });
		for (const more of [
			{ status: "failed" },
			{ exit_code: 1 },
			{ snapshot_after: "abc" },
			{ stdout_truncated: true },
			{ diff_base64: Buffer.from("diff").toString("base64") },
		]) {
			const { status, body } = await node.finished(id, more);
			assert.deepEqual([status, body.error], [409, "invalid_state"], JSON.stringify(more));
		}
		assert.equal((await shown(world(), id)).state, "succeeded");
	});

	test("a lost started is made up for", async () => {
		const [node, id] = await leased(world());
		assert.equal((await node.finished(id, { status: "failed", exit_code: 3 })).body.final_state, "failed");
	});

	test("left-out members equal their defaults in the comparison; exit_code left out is not null", async () => {
		const [node, id] = await running(world());
		await node.report(id, "finished", { status: "succeeded", exit_code: 0 });
		const spelled = { stdout_truncated: false, stderr_truncated: false, diff_truncated: false, artifacts_manifest: {} };
		assert.equal((await node.report(id, "finished", { status: "succeeded", exit_code: 0, ...spelled })).status, 200);
		const [other, otherId] = await running(world());
		await other.report(otherId, "finished", { status: "failed", exit_code: null });
		assert.equal((await shown(world(), otherId)).exit_code, null);
	});

	test("is checked in the order status, exit code, diff", async () => {
		const [node, id] = await running(world(), { limits: { max_diff_bytes: 8 } });
		for (const [json, said] of [
			[{ status: "done", exit_code: "x" }, "status"],
			[{ exit_code: 0 }, "status"],
			[{ status: "succeeded", exit_code: "x", diff_base64: "?" }, "exit_code"],
			[{ status: "succeeded", exit_code: 1.5 }, "exit_code"],
			[{ status: "succeeded", diff_base64: "abc" }, "diff"],
			[{ status: "succeeded", diff_base64: "ab c" }, "diff"],
			[{ status: "succeeded", diff_base64: Buffer.alloc(9).toString("base64") }, "diff"],
		] as const) {
			const { status, body } = await node.report(id, "finished", json);
			assert.deepEqual([status, body.error], [422, "invalid_param"], JSON.stringify(json));
			assert.ok(body.detail.includes(said), `${body.detail} names ${said}`);
		}
		assert.equal((await shown(world(), id)).state, "running");
	});

	test("a diff is kept and can be fetched", async () => {
		const [node, id] = await running(world());
		const diff = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n";
		await node.finished(id, {
			diff_base64: Buffer.from(diff).toString("base64"),
			snapshot_before: "a",
			snapshot_after: "b",
		});
		assert.equal((await shown(world(), id)).has_diff, true);
		const { status, body, headers } = await world().as("member", "GET", `${API}/directives/${id}/diff`);
		assert.equal(status, 200);
		assert.equal(body, diff);
		assert.match(headers.get("content-type") ?? "", /text\/x-diff/);
		const [, without] = await running(world());
		assert.equal((await world().as("member", "GET", `${API}/directives/${without}/diff`)).status, 404);
	});

	test("a replay hours later with the lease's expired token is heard, other reports with it are not", async () => {
		const [node, id] = await running(world());
		const before = await node.finished(id, { exit_code: 5, status: "failed" });
		assert.equal(before.status, 200);
		world().pass(3 * 3_600_000);
		assert.equal((await node.finished(id, { exit_code: 5, status: "failed" })).body.duplicate, true);
		assert.equal((await node.chunk(id, 0, "x")).status, 401);
		assert.equal((await node.started(id)).status, 401);
	});

	test("times that lie, of the past and of the future, change nothing that we measured", async () => {
		for (const finished_at of ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "tomorrow"]) {
			const [node, id] = await running(world(), {});
			await node.report(id, "heartbeat", { now: finished_at });
			const { status } = await node.finished(id, { finished_at });
			assert.equal(status, 200, finished_at);
			const { finished_at: kept, started_at } = await shown(world(), id);
			assert.ok(Math.abs(Date.parse(kept) - world().nowMs()) < 60_000, `${finished_at} became ${kept}`);
			assert.ok(Date.parse(kept) >= Date.parse(started_at) - 1);
		}
		const { body } = await world().as("auditor", "GET", `${API}/audit_events?event_type=node.clock_refused`);
		assert.equal(body.audit_events.length, 1);
	});

	test("a beginning in the future is not believed, and audited; a clock that is a little ahead is not", async () => {
		for (const [aheadMs, events] of [
			[86_400_000, 1],
			[60_000, 0],
		] as const) {
			const [node, id] = await leased(world());
			const started_at = new Date(world().nowMs() + aheadMs).toISOString();
			assert.equal((await node.started(id, { started_at })).status, 200);
			assert.equal((await node.started(id, { started_at })).body.duplicate, true);
			const kept = Date.parse((await shown(world(), id)).started_at);
			assert.ok(kept <= world().nowMs(), `${started_at} became ${kept}`);
			const path = `${API}/audit_events?event_type=node.clock_refused&directive_id=${id}`;
			const { audit_events } = (await world().as("auditor", "GET", path)).body;
			assert.equal(audit_events.length, events, started_at);
			if (events > 0) assert.equal(audit_events[0].payload.started_at, started_at);
			await node.finished(id);
		}
	});
});
