import assert from "node:assert/strict";
import { test } from "node:test";
import { inWorlds } from "./in-worlds.ts";
import { StockNode } from "./stock-node.ts";
import { type Answered, API, type Parsed, type World } from "./world.ts";

const CAMERA = { capabilities: ["camera.snap"] };

async function withCamera(world: World): Promise<StockNode> {
	const node = await StockNode.join(world);
	assert.equal((await node.heartbeat(CAMERA)).status, 200);
	return node;
}

/** With time enough on a slow machine. */
const ask = (world: World, json: object): Promise<Answered> =>
	world.as("member", "POST", `${API}/commands`, { timeout_seconds: 300, ...json });

async function send(world: World, { territoryId }: StockNode, more: object = {}): Promise<string> {
	const { status, body } = await ask(world, {
		capability: "camera.snap",
		target: { territory_id: territoryId },
		...more,
	});
	assert.deepEqual([status, body.state, body.dispatched_via], [201, "queued", "poll"], JSON.stringify(body));
	return body.command_id;
}

const shown = async (world: World, id: string) => (await world.as("member", "GET", `${API}/commands/${id}`)).body;
const pending = async (node: StockNode, query = "") => (await node.get(`/conduits/v1/commands/pending${query}`)).body;
const tell = (node: StockNode, id: string, result: object) => node.post(`/conduits/v1/commands/${id}/result`, result);
const giveBack = (node: StockNode, id: string) => node.post(`/conduits/v1/commands/${id}/cancel`);

/** What was noted of one command, by its kind; some of it may be of one moment. */
async function events(world: World, id: string): Promise<ReadonlyMap<string, Parsed>> {
	const { body } = await world.as("auditor", "GET", `${API}/audit_events?limit=100&command_id=${id}`);
	return new Map(body.audit_events.map((event: Parsed) => [event.event_type, event]));
}

async function fetched(world: World, node: StockNode): Promise<string> {
	const id = await send(world, node);
	assert.deepEqual(
		(await pending(node)).commands.map(({ command_id }: Parsed) => command_id),
		[id],
	);
	return id;
}

inWorlds("device commands by REST (conduits 2.4)", (world) => {
	test("wait to be fetched: oldest first, as many as were asked for, each once, by their own territory", async () => {
		const node = await withCamera(world());
		const stranger = await withCamera(world());
		const ids = [];
		for (let zoom = 0; zoom < 7; zoom++) ids.push(await send(world(), node, { params: { zoom }, timeout_seconds: 60 }));
		assert.deepEqual(await pending(stranger), { commands: [], retry_after_seconds: 5 });
		const { commands, retry_after_seconds } = await pending(node, "?max=1");
		const { created_at, ...first } = commands[0];
		assert.deepEqual(first, {
			command_id: ids[0],
			capability: "camera.snap",
			params: { zoom: 0 },
			bridge_entity_ref: null,
			timeout_seconds: 60,
		});
		assert.ok(Date.parse(created_at) > 0);
		assert.deepEqual([commands.length, retry_after_seconds], [1, 2]);
		assert.equal((await pending(node, "?max=0")).commands.length, 1, "at least one");
		const rest = (await pending(node)).commands.map(({ command_id }: Parsed) => command_id);
		assert.deepEqual(rest, ids.slice(2), "five, unless it says");
		assert.deepEqual(await pending(node), { commands: [], retry_after_seconds: 5 });
		const { state, dispatched_at } = await shown(world(), ids[0] ?? "");
		assert.deepEqual([state, dispatched_at !== null], ["dispatched", true]);
	});

	test("fetched by several at once, each goes to one of them", async () => {
		const node = await withCamera(world());
		const ids = await Promise.all(Array.from({ length: 8 }, () => send(world(), node)));
		const answers = await Promise.all(Array.from({ length: 4 }, () => pending(node, "?max=4")));
		const given = answers.flatMap(({ commands }) => commands.map(({ command_id }: Parsed) => command_id));
		given.push(...(await pending(node, "?max=20")).commands.map(({ command_id }: Parsed) => command_id));
		assert.deepEqual(given.sort(), ids.sort());
	});

	test("a result ends it, told again it is a duplicate, another one is refused", async () => {
		const node = await withCamera(world());
		const id = await fetched(world(), node);
		const attachment_base64 = Buffer.from("picture").toString("base64");
		const result = { status: "completed", result: { b: 1, a: [2] }, error_message: null };
		const first = await tell(node, id, { ...result, attachment_base64, attachment_filename: "p.jpg" });
		assert.deepEqual([first.status, first.body], [200, { ok: true, command_id: id, final_state: "completed" }]);
		const again = await tell(node, id, { ...result, result: { a: [2], b: 1 } });
		const duplicate = { ok: true, command_id: id, final_state: "completed", duplicate: true };
		assert.deepEqual(again.body, duplicate, "members in another order, and without its file");
		const other = await tell(node, id, { ...result, result: { b: 2 } });
		assert.deepEqual([other.status, other.body.error], [409, "invalid_state"]);
		const command = await shown(world(), id);
		assert.deepEqual([command.state, command.result, command.has_attachment], ["completed", { a: [2], b: 1 }, true]);
		const file = await world().as("member", "GET", `${API}/commands/${id}/attachment`);
		assert.deepEqual([file.status, file.body], [200, "picture"]);
		const noted = await events(world(), id);
		assert.deepEqual([noted.has("command.created"), noted.get("command.completed").payload.via], [true, "rest"]);
	});

	test("a result that lies or does not fit changes nothing", async () => {
		const node = await withCamera(world());
		const stranger = await withCamera(world());
		const [waiting, id] = [await send(world(), node), await send(world(), node)];
		const early = await tell(node, waiting, { status: "completed" });
		assert.deepEqual([early.status, early.body.error], [409, "invalid_state"], "nobody has fetched it");
		assert.equal((await pending(node)).commands.length, 2);
		for (const [from, result, status] of [
			[stranger, { status: "completed" }, 404],
			[node, { status: "done" }, 422],
			[node, {}, 422],
			[node, { status: "completed", attachment_base64: "?" }, 422],
			[node, { status: "completed", attachment_base64: "A".repeat(14_000_000) }, 422],
			[node, { status: "completed", result: [] }, 422],
		] as const) {
			const { status: answered } = await tell(from, id, result);
			assert.equal(answered, status, JSON.stringify(result).slice(0, 80));
		}
		assert.equal((await shown(world(), id)).state, "dispatched");
		const failed = await tell(node, id, { status: "failed", error_message: "no film" });
		assert.equal(failed.body.final_state, "failed");
		assert.equal((await shown(world(), id)).error_message, "no film");
	});

	test("one that its territory can't do fails before it is fetched, or is given back", async () => {
		const node = await withCamera(world());
		const [fails, goes] = [await send(world(), node), await send(world(), node)];
		assert.equal((await tell(node, fails, { status: "failed" })).body.final_state, "failed");
		assert.equal((await giveBack(await withCamera(world()), goes)).status, 404, "another territory's");
		assert.deepEqual((await giveBack(node, goes)).body, { ok: true, command_id: goes, final_state: "canceled" });
		const again = { ok: true, command_id: goes, final_state: "canceled", already_terminal: true };
		assert.deepEqual((await giveBack(node, goes)).body, again);
		assert.ok((await events(world(), goes)).has("command.canceled"));
		assert.equal((await pending(node)).commands.length, 0);
	});

	test("one that runs late ends, and says what was waited for", async () => {
		const node = await withCamera(world());
		const late = await send(world(), node, { timeout_seconds: 100 });
		await pending(node);
		const unfetched = await send(world(), node, { timeout_seconds: 100 });
		const patient = await send(world(), node, { timeout_seconds: 1000 });
		world().pass(101_000);
		await world().runJobs();
		const ended = async (id: string) => {
			const { state, error_message } = await shown(world(), id);
			return [state, error_message];
		};
		assert.deepEqual(await ended(late), ["timed_out", "its device did not answer in time"]);
		assert.deepEqual(await ended(unfetched), ["timed_out", "its device did not fetch it in time"]);
		assert.equal((await shown(world(), patient)).state, "queued");
		world().pass(200_000);
		await world().runJobs();
		assert.equal((await shown(world(), patient)).state, "timed_out", "300 s is the most");
		assert.ok((await events(world(), late)).get("command.timed_out").payload.age_seconds >= 100);
		const tooLate = await tell(node, late, { status: "completed", result: {} });
		assert.deepEqual([tooLate.status, tooLate.body.final_state], [200, "timed_out"], "as the protocol has it");
	});
});

inWorlds("where a device command goes (conduits 2.5.8, 6.6)", (world) => {
	const LIGHT = { entity_type: "light", capabilities: ["light.on"] };

	test("to the territory that is named, to the best that offers it, or to a device behind a bridge", async () => {
		const [bridge, node] = [await StockNode.join(world(), world().account, "bridge"), await StockNode.join(world())];
		const entities = [
			{ ...LIGHT, entity_ref: "lamp", location: "home/hall" },
			{ ...LIGHT, entity_ref: "spot", location: "home/kitchen" },
			{ ...LIGHT, entity_ref: "dead", location: "home/attic", available: false },
		];
		await bridge.heartbeat({ bridge_entities: entities });
		const target = async (target: object) => {
			const { body } = await ask(world(), { capability: "light.on", target });
			return body.command_id === undefined ? body.error : shown(world(), body.command_id);
		};
		assert.equal((await target({ location: "home/kitchen" })).territory_id, bridge.territoryId);
		const [{ bridge_entity_ref }] = (await pending(bridge)).commands;
		assert.equal(bridge_entity_ref, "spot");
		assert.equal(await target({ location: "home/attic" }), "no_target", "it can't be reached");
		assert.equal(await target({ location: "office" }), "no_target");
		assert.equal(await target({ territory_id: bridge.territoryId, entity_ref: "none" }), "not_found");
		assert.equal(await target({ territory_id: node.territoryId }), "validation_failed", "it does not offer it");
		await node.heartbeat({ capabilities: ["light.on"] });
		const direct = await target({});
		assert.deepEqual([direct.territory_id, direct.bridge_entity_id], [node.territoryId, null], "before any bridge");
		for (const named of [{ territory_id: bridge.territoryId }, {}]) {
			await target({ ...named, entity_ref: "lamp" });
			assert.equal((await pending(bridge)).commands[0].bridge_entity_ref, "lamp");
		}
		assert.equal(await target({ entity_ref: "none" }), "no_target", "who names a device means no other");
		assert.equal(await target({ entity_ref: "lamp", location: "home/kitchen" }), "no_target");
		const missing = await ask(world(), { target: {} });
		assert.deepEqual([missing.status, missing.body.error], [400, "missing_parameter"]);
	});

	test("is listed newest first and narrowed by state and territory", async () => {
		const node = await withCamera(world());
		const ids = [await send(world(), node), await send(world(), node)];
		await giveBack(node, ids[0] ?? "");
		const list = async (query: string) => {
			const { body } = await world().as("auditor", "GET", `${API}/commands?territory_id=${node.territoryId}${query}`);
			return body.commands.map(({ id }: Parsed) => id);
		};
		assert.deepEqual(await list(""), ids.toReversed());
		assert.deepEqual(await list("&state=canceled"), [ids[0]]);
	});
});

inWorlds("who may have a device do what (conduits 2.5.8, 6.5, 6.9)", (world) => {
	test("what a policy denies is not sent, what needs a yes waits for somebody else's, or runs out of time", async () => {
		const node = await StockNode.join(world());
		await node.heartbeat({ capabilities: ["camera.snap", "camera.clip", "sms.send", "system.info"] });
		const device = {
			allowed: ["camera.*", "system.info"],
			denied: ["camera.clip"],
			approval_required: ["camera.snap"],
		};
		await world().as("operator", "POST", `${API}/policies`, { name: "devices", device });
		const target = { territory_id: node.territoryId };
		for (const [capability, reason] of [
			["camera.clip", /explicitly denied/],
			["sms.send", /not in allowed/],
		] as const) {
			const { status, body } = await ask(world(), { capability, target });
			assert.deepEqual([status, body.error, body.policies_applied.length], [403, "policy_denied", 1]);
			assert.match(body.reason, reason);
		}
		assert.equal((await ask(world(), { capability: "system.info", target })).body.state, "queued");
		await pending(node);
		const waiting = async (timeout_seconds = 300) => {
			const { status, body } = await ask(world(), { capability: "camera.snap", target, timeout_seconds });
			assert.deepEqual([status, body.state, body.approval_reasons.length], [202, "awaiting_approval", 1]);
			return body.command_id;
		};
		const answer = (role: "owner" | "approver" | "member", id: string, what: string) =>
			world().as(role, "POST", `${API}/commands/${id}/${what}`);
		const [good, bad, unanswered] = [await waiting(), await waiting(), await waiting(60)];
		assert.equal((await pending(node)).commands.length, 0, "nobody fetches what waits");
		assert.equal((await giveBack(node, good)).status, 403, "nor gives it back");
		assert.equal((await tell(node, good, { status: "completed" })).status, 409);
		assert.equal((await answer("member", good, "approve")).status, 403);
		const yes = await answer("approver", good, "approve");
		assert.deepEqual(yes.body, { command_id: good, state: "queued", dispatched_via: "poll" });
		assert.equal((await answer("approver", good, "approve")).body.error, "state_conflict");
		assert.equal((await pending(node)).commands[0].command_id, good);
		assert.deepEqual((await answer("owner", bad, "reject")).body, { command_id: bad, state: "canceled" });
		assert.equal((await answer("owner", bad, "reject")).status, 409);
		const own = await world().as("owner", "POST", `${API}/commands`, { capability: "camera.snap", target });
		const selfApproved = await answer("owner", own.body.command_id, "approve");
		assert.deepEqual([selfApproved.status, selfApproved.body.error], [403, "forbidden"]);
		assert.equal((await answer("owner", own.body.command_id, "reject")).status, 200, "one's own may be rejected");
		world().pass(61_000);
		await world().runJobs();
		const { state, error_message } = await shown(world(), unanswered);
		assert.deepEqual([state, error_message], ["timed_out", "nobody approved it in time"]);
		assert.equal((await answer("approver", unanswered, "approve")).status, 409);
		const noted = await events(world(), good);
		assert.ok(noted.has("command.awaiting_approval") && noted.has("command.approved"));
	});
});
