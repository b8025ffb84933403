import assert from "node:assert/strict";
import { test } from "node:test";
import { inWorlds } from "./in-worlds.ts";
import { StockNode } from "./stock-node.ts";
import { API, newFacility, type Parsed, submit, type World } from "./world.ts";

const DAY_MS = 86_400_000;

/** A facility whose directives need yeses of so many people. */
async function watched(world: World, required_approvals: number): Promise<string> {
	const facility = await newFacility(world);
	const policy = {
		name: "watched",
		scope_type: "Conduits::Facility",
		scope_id: facility,
		approval: { net_unrestricted: "needs_approval" },
		sandbox_profile_rules: { required_approvals },
	};
	const { status, body } = await world.as("operator", "POST", `${API}/policies`, policy);
	assert.equal(status, 201, JSON.stringify(body));
	return facility;
}

async function ask(world: World, facility: string): Promise<Parsed> {
	const json = { command: "make deploy", requested_capabilities: { net: { mode: "unrestricted" } } };
	const { status, body } = await world.as("member", "POST", `${API}/facilities/${facility}/directives`, json);
	assert.equal(status, 202, JSON.stringify(body));
	assert.equal(body.state, "awaiting_approval");
	assert.match(body.approval_reasons.join(), /net/);
	return body;
}

const approve = (world: World, role: "owner" | "approver" | "member", id: string, json: object = {}) =>
	world.as(role, "POST", `${API}/directives/${id}/approve`, json);
const show = async (world: World, id: string) => (await world.as("member", "GET", `${API}/directives/${id}`)).body;
const stateOf = async (world: World, id: string) => (await show(world, id)).state;

inWorlds("approvals (conduits 2.5.5, 2.5.6, 6.9)", (world) => {
	test("somebody else's yes queues what waits, nobody's own does, and a no ends it", async () => {
		const facility = await watched(world(), 1);
		const { directive_id: id, workload_digest } = await ask(world(), facility);
		assert.equal((await approve(world(), "member", id)).status, 403, "a member approves nothing");
		const other = `sha256:${"0".repeat(64)}`;
		const unlooked = await approve(world(), "approver", id, { workload_digest: other });
		assert.deepEqual([unlooked.status, unlooked.body.error], [409, "state_conflict"], "not what was looked at");
		const yes = await approve(world(), "approver", id, { workload_digest, reason: "as discussed" });
		assert.deepEqual([yes.status, yes.body.state, yes.body.approvals_missing], [200, "queued", 0]);
		const again = await approve(world(), "owner", id);
		assert.deepEqual([again.status, again.body.error], [409, "state_conflict"]);
		const listed = await world().as("auditor", "GET", `${API}/approvals?directive_id=${id}`);
		const [record] = listed.body.approvals;
		assert.deepEqual(
			[record.verdict, record.reason, record.workload_digest, record.approver_user_id],
			["approved", "as discussed", workload_digest, world().account.people.approver],
		);
		const own = await world().as("owner", "POST", `${API}/facilities/${facility}/directives`, {
			command: "make deploy",
			requested_capabilities: { net: { mode: "unrestricted" } },
		});
		const selfApproved = await approve(world(), "owner", own.body.directive_id);
		assert.deepEqual([selfApproved.status, selfApproved.body.error], [403, "forbidden"]);
		assert.match(selfApproved.body.detail, /cannot approve own/);
		const path = `${API}/facilities/${facility}/directives/${own.body.directive_id}`;
		const no = await world().as("owner", "POST", `${path}/reject`, { reason: "not today" });
		assert.deepEqual(no.body, { directive_id: own.body.directive_id, state: "canceled" });
		assert.equal((await show(world(), own.body.directive_id)).end_reason, "rejected");
		assert.equal((await world().as("approver", "POST", `${path}/approve`)).status, 409);
		const rejected = await world().as("auditor", "GET", `${API}/approvals?verdict=rejected`);
		assert.deepEqual(
			rejected.body.approvals.map(({ reason }: Parsed) => reason),
			["not today"],
		);
	});

	test("where the policy asks for several people, one of them twice is one; and yeses run out", async () => {
		const { directive_id: id } = await ask(world(), await watched(world(), 2));
		for (let count = 0; count < 2; count++)
			assert.equal((await approve(world(), "approver", id)).body.approvals_missing, 1);
		assert.equal(await stateOf(world(), id), "awaiting_approval");
		world().pass(DAY_MS + 1000);
		assert.equal((await approve(world(), "owner", id)).body.approvals_missing, 1, "the first counts no more");
		const last = await approve(world(), "approver", id);
		assert.deepEqual([last.body.state, last.body.approvals_missing], ["queued", 0]);
	});

	test("what was not begun while its yes counted is canceled; what was begun is not", async () => {
		const facility = await watched(world(), 1);
		const { directive_id: begun } = await ask(world(), facility);
		const { directive_id: late } = await ask(world(), facility);
		assert.equal((await approve(world(), "approver", begun, { expires_in_seconds: 3600 })).status, 200);
		assert.equal((await approve(world(), "approver", late, { expires_in_seconds: 3600 })).status, 200);
		assert.equal((await approve(world(), "approver", late, { expires_in_seconds: 1 })).status, 422);
		const unwatched = await submit(world());
		const node = await StockNode.join(world());
		let [lease] = await node.poll();
		while (lease !== undefined && lease.directive_id !== begun) {
			await node.started(lease.directive_id);
			await node.finished(lease.directive_id);
			[lease] = await node.poll();
		}
		await node.started(begun);
		for (let passed = 0; passed < 4000; passed += 200) {
			world().pass(200_000);
			assert.equal((await node.report(begun, "heartbeat")).status, 200);
		}
		await world().runJobs();
		assert.deepEqual([await stateOf(world(), begun), await stateOf(world(), late)], ["running", "canceled"]);
		assert.equal((await show(world(), late)).end_reason, "approval_expired");
		assert.notEqual(await stateOf(world(), unwatched), "canceled", "what needed no yes waits on");
		const path = `${API}/audit_events?event_type=directive.approval_expired`;
		const { body } = await world().as("auditor", "GET", path);
		assert.deepEqual(
			body.audit_events.map(({ directive_id }: Parsed) => directive_id),
			[late],
		);
	});

	test("what nobody answers for a week is canceled, says so, and takes no answer any more", async () => {
		const { directive_id: id } = await ask(world(), await watched(world(), 1));
		world().pass(7 * DAY_MS - 60_000);
		const { directive_id: later } = await ask(world(), await watched(world(), 1));
		await world().runJobs();
		assert.equal(await stateOf(world(), id), "awaiting_approval");
		world().pass(120_000);
		await world().runJobs();
		assert.equal(await stateOf(world(), later), "awaiting_approval");
		const { state, end_reason, finished_at, cancel_requested_at } = await show(world(), id);
		assert.deepEqual([state, end_reason, cancel_requested_at], ["canceled", "unanswered", null]);
		assert.ok(Date.parse(finished_at) > 0);
		assert.equal((await approve(world(), "approver", id)).status, 409);
		const path = `${API}/audit_events?event_type=directive.approval_unanswered`;
		const { body } = await world().as("auditor", "GET", path);
		assert.ok(body.audit_events.some(({ directive_id }: Parsed) => directive_id === id));
		assert.ok(!body.audit_events.some(({ directive_id }: Parsed) => directive_id === later));
	});

	test("an answer to a device command is kept too: by whom, why, to what", async () => {
		const node = await StockNode.join(world());
		await node.heartbeat({ capabilities: ["camera.snap"] });
		const device = { allowed: ["*"], approval_required: ["camera.*"] };
		await world().as("operator", "POST", `${API}/policies`, { name: "cameras", device });
		const target = { territory_id: node.territoryId };
		const asked = { capability: "camera.snap", target, timeout_seconds: 60 };
		const [yes, no] = await Promise.all(
			[0, 1].map(async () => (await world().as("member", "POST", `${API}/commands`, asked)).body),
		);
		assert.equal(yes.state, "awaiting_approval");
		const answer = (id: string, what: string, reason: string) =>
			world().as("approver", "POST", `${API}/commands/${id}/${what}`, { reason });
		assert.equal((await answer(yes.command_id, "approve", "the door bell rang")).body.state, "queued");
		assert.equal((await answer(no.command_id, "reject", "once is enough")).body.state, "canceled");
		for (const [{ command_id }, verdict, reason] of [
			[yes, "approved", "the door bell rang"],
			[no, "rejected", "once is enough"],
		] as const) {
			const { body } = await world().as("auditor", "GET", `${API}/approvals?command_id=${command_id}`);
			const [record] = body.approvals;
			assert.deepEqual([record.verdict, record.reason, record.command_id], [verdict, reason, command_id]);
		}
	});
});
