import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectByTls } from "node:tls";
import { CableClient, type CableOptions, IDENTIFIER } from "./cable-client.ts";
import { inWorlds } from "./in-worlds.ts";
import { StockNode } from "./stock-node.ts";
import { API, type Parsed, submit, type World } from "./world.ts";

const CAMERA = { capabilities: ["camera.snap"] };
const byId = ({ territoryId }: StockNode): CableOptions => ({ query: `?territory_id=${territoryId}` });

async function withCamera(world: World): Promise<StockNode> {
	const node = await StockNode.join(world);
	assert.equal((await node.heartbeat(CAMERA)).status, 200);
	return node;
}

async function send(world: World, { territoryId }: StockNode, more: object = {}): Promise<Parsed> {
	const json = { capability: "camera.snap", target: { territory_id: territoryId }, ...more };
	const { status, body } = await world.as("member", "POST", `${API}/commands`, json);
	assert.equal(status, 201, JSON.stringify(body));
	return body;
}

const shown = async (world: World, id: string) => (await world.as("member", "GET", `${API}/commands/${id}`)).body;

/** What the server makes of frames that it never answers shows when it is asked for something after them. */
async function until(world: World, id: string, holds: (command: Parsed) => boolean): Promise<Parsed> {
	const deadline = Date.now() + 60_000;
	for (;;) {
		const command = await shown(world, id);
		if (holds(command)) return command;
		assert.ok(Date.now() < deadline, JSON.stringify(command));
		await sleep(20);
	}
}

async function isConnected(node: StockNode): Promise<boolean> {
	return (await node.heartbeat({})).body.websocket_connected;
}

inWorlds("the WebSocket (conduits 4)", (world) => {
	test("welcomes, pings, and confirms a subscription with the identifier as it was written", async () => {
		const node = await StockNode.join(world());
		const client = await CableClient.subscribed(world(), byId(node));
		assert.equal(client.protocol, "actioncable-v1-json");
		assert.deepEqual(client.frames[0], { type: "welcome" });
		const confirmed = client.frames.find(({ type }) => type === "confirm_subscription");
		assert.deepEqual(confirmed, { identifier: IDENTIFIER, type: "confirm_subscription" });
		const ping = await client.frame(({ type }) => type === "ping");
		assert.ok(Math.abs(ping.message - Date.now() / 1000) < 30, "whole seconds since 1970");
		for (const identifier of ['{"channel":"Other"}', "nonsense", "{}"]) {
			client.send({ command: "subscribe", identifier });
			const rejected = await client.frame((frame) => frame.identifier === identifier);
			assert.deepEqual(rejected, { identifier, type: "reject_subscription" });
		}
		await client.close();
	});

	test("nobody without a credential is heard", async () => {
		for (const query of ["", "?territory_id=nonsense", "?territory_id=01a1fce8-d646-7615-aa4c-de5ae8979835"]) {
			const client = new CableClient(world(), { query });
			const refused = await client.frame(() => true);
			assert.deepEqual(refused, { type: "disconnect", reason: "unauthorized", reconnect: false });
			await client.closed();
		}
	});

	test("a request that is no URL ends its own connection and nothing else", async () => {
		const port = Number(new URL(world().base).port);
		for (const target of ["//", "http://[", "*", "//[x/cable", "/%"]) {
			const secure = world().serverCertificate !== null;
			const at = { port, host: "127.0.0.1", rejectUnauthorized: false };
			const socket = secure ? connectByTls(at) : connect(at);
			const upgrade =
				"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
			socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n\r\n`);
			await once(socket.on("error", () => {}).resume(), "close");
		}
		const node = await StockNode.join(world());
		await (await CableClient.subscribed(world(), byId(node))).close();
	});

	test("who is shut out is not heard by what they had open", async () => {
		const node = await StockNode.join(world());
		const client = await CableClient.subscribed(world(), byId(node));
		const path = `${API}/territories/${node.territoryId}/decommission`;
		assert.equal((await world().as("owner", "POST", path)).status, 200);
		await client.frame(({ type, reason }) => type === "disconnect" && reason === "unauthorized");
		assert.equal(await client.closed(), 1008);
	});

	test("who sends faster than frames are acted on waits, and is heard in the end", async () => {
		const node = await StockNode.join(world());
		const client = await CableClient.subscribed(world(), byId(node));
		const data = JSON.stringify({ action: "command_result", command_id: "none", padding: "x".repeat(50_000) });
		for (let index = 0; index < 200; index++) client.send({ command: "message", identifier: IDENTIFIER, data });
		client.send({ command: "subscribe", identifier: "nonsense" });
		await client.frame(({ type }) => type === "reject_subscription");
		await client.close();
	});

	test("a territory is connected as long as one of its connections is", async () => {
		const node = await StockNode.join(world());
		assert.equal(await isConnected(node), false);
		const [one, two] = [
			await CableClient.subscribed(world(), byId(node)),
			await CableClient.subscribed(world(), byId(node)),
		];
		const heartbeat = await node.heartbeat({});
		assert.deepEqual([heartbeat.body.websocket_connected, heartbeat.body.next_heartbeat_interval_seconds], [true, 300]);
		await one.close();
		assert.equal(await isConnected(node), true);
		two.send({ command: "unsubscribe", identifier: IDENTIFIER });
		const deadline = Date.now() + 60_000;
		while (await isConnected(node)) {
			world().pass(10_000);
			assert.ok(Date.now() < deadline);
			await sleep(20);
		}
		await two.close();
		const path = `${API}/audit_events?limit=500&event_type=territory.websocket_`;
		for (const kind of ["connected", "disconnected"]) {
			const own = async (): Promise<number> => {
				const { body } = await world().as("auditor", "GET", `${path}${kind}`);
				return body.audit_events.filter((event: Parsed) => event.territory_id === node.territoryId).length;
			};
			while ((await own()) < 2) await sleep(20);
			assert.equal(await own(), 2, kind);
		}
	});

	test("a new directive, an approved one and a cancel are told to whom they concern, and to nobody else", async () => {
		const node = await StockNode.join(world());
		const client = await CableClient.subscribed(world(), byId(node));
		const stranger = await StockNode.join(world(), world().stranger);
		const elsewhere = await CableClient.subscribed(world(), byId(stranger));
		const id = await submit(world());
		const { identifier, message } = await client.message("directive_available");
		assert.equal(identifier, IDENTIFIER);
		assert.deepEqual(message, { type: "directive_available", directive_id: id, sandbox_profile: "untrusted" });
		await node.claim(id);
		await node.started(id);
		await world().as("member", "POST", `${API}/directives/${id}/cancel`);
		const cancel = await client.message("directive_cancel");
		assert.deepEqual(cancel.message, { type: "directive_cancel", directive_id: id });
		await node.finished(id, { status: "canceled", exit_code: 137 });
		assert.ok(!elsewhere.frames.some(({ message: told }) => told !== undefined));
		await client.close();
		await elsewhere.close();
	});
});

inWorlds("commands by WebSocket (conduits 4.5, 4.6)", (world) => {
	test("one is dispatched, told, and ended by its result; its file can be fetched", async () => {
		const node = await withCamera(world());
		const client = await CableClient.subscribed(world(), byId(node));
		const sent = await send(world(), node, { params: { zoom: 2 }, timeout_seconds: 20 });
		assert.deepEqual([sent.state, sent.dispatched_via], ["dispatched", "websocket"]);
		const { message } = await client.message("command");
		assert.deepEqual(message, {
			type: "command",
			command_id: sent.command_id,
			capability: "camera.snap",
			params: { zoom: 2 },
			bridge_entity_ref: null,
			timeout_seconds: 20,
		});
		const result = { action: "command_result", command_id: sent.command_id, status: "completed", result: { ok: 1 } };
		const attachment = { attachment_base64: Buffer.from("picture").toString("base64"), attachment_filename: "a/b.jpg" };
		client.perform({ ...result, ...attachment });
		const command = await until(world(), sent.command_id, ({ state }) => state !== "dispatched");
		assert.deepEqual([command.state, command.result, command.has_attachment], ["completed", { ok: 1 }, true]);
		const file = await world().as("member", "GET", `${API}/commands/${sent.command_id}/attachment`);
		assert.deepEqual([file.status, file.body], [200, "picture"]);
		assert.match(file.headers.get("content-disposition") ?? "", /filename="a_b\.jpg"/);
		// The same and another result again: nothing changes, and nothing is audited twice.
		client.perform(result);
		client.perform({ ...result, status: "failed" });
		const next = await send(world(), node);
		client.perform({ ...result, command_id: next.command_id, status: "failed", error_message: "no film" });
		const failed = await until(world(), next.command_id, ({ state }) => state === "failed");
		assert.equal(failed.error_message, "no film");
		assert.equal((await shown(world(), sent.command_id)).state, "completed");
		const { body } = await world().as("auditor", "GET", `${API}/audit_events?event_type=command.completed`);
		assert.deepEqual(
			body.audit_events.map(({ payload }: Parsed) => payload.via),
			["websocket"],
		);
		await client.close();
	});

	test("a result without a known command, of another territory, of no known status or with too much in it changes nothing", async () => {
		const node = await withCamera(world());
		const client = await CableClient.subscribed(world(), byId(node));
		const stranger = await withCamera(world());
		const other = await CableClient.subscribed(world(), byId(stranger));
		const { command_id } = await send(world(), node);
		const result = { action: "command_result", command_id, status: "completed", result: {} };
		client.perform({ ...result, command_id: "01a1fce8-d646-7615-aa4c-de5ae8979835" });
		other.perform(result);
		client.perform({ ...result, status: "done" });
		client.perform({ ...result, attachment_base64: "A".repeat(14_200_000) });
		client.perform({ ...result, action: "nonsense" });
		client.send({ command: "message", identifier: IDENTIFIER, data: "nonsense" });
		// Answered in their order, so that this one comes last.
		const marker = await send(world(), node);
		client.perform({ ...result, command_id: marker.command_id });
		await until(world(), marker.command_id, ({ state }) => state === "completed");
		assert.equal((await shown(world(), command_id)).state, "dispatched");
		// An attachment that is none costs the attachment, not the result.
		client.perform({ ...result, attachment_base64: "?" });
		const command = await until(world(), command_id, ({ state }) => state !== "dispatched");
		assert.deepEqual([command.state, command.has_attachment], ["completed", false]);
		await client.close();
		await other.close();
	});
});

inWorlds(
	"the WebSocket behind a proxy that checks certificates",
	(world) => {
		test("the proxy's header is believed; a fingerprint in the query, which anybody can write, is not", async () => {
			const node = await StockNode.enroll(world(), {}, "proxy");
			const header = { "x-nexus-client-cert-fingerprint": node.fingerprint };
			const client = await CableClient.subscribed(world(), { headers: header });
			assert.equal(await isConnected(node), true);
			await client.close();
			for (const query of [`?fingerprint=${node.fingerprint}`, `?territory_id=${node.territoryId}`]) {
				const refused = new CableClient(world(), { query });
				assert.equal((await refused.frame(() => true)).reason, "unauthorized");
			}
		});
	},
	{ mode: "mtls", trustedProxies: ["127.0.0.1"] },
);

inWorlds(
	"the WebSocket of a control plane that ends TLS itself",
	(world) => {
		test("the certificate says whose it is", async () => {
			const node = await StockNode.enroll(world(), {}, "certificate");
			const client = await CableClient.subscribed(world(), { certificate: node.certificate });
			assert.equal(await isConnected(node), true);
			await client.close();
			const refused = new CableClient(world(), { query: `?fingerprint=${node.fingerprint}` });
			assert.equal((await refused.frame(() => true)).reason, "unauthorized");
		});
	},
	{ mode: "mtls", tls: "own" },
);
