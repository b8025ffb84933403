import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, test } from "node:test";
import { type Client, connect, everyPage, followLogs, VouchError } from "./index.ts";

type Reply = (request: IncomingMessage, response: ServerResponse) => void;

const open: { close(): void }[] = [];
afterEach(() => {
	for (const server of open.splice(0)) server.close();
});

/** A server that answers each request by the next of these; what it was asked is kept. */
async function scripted(...replies: readonly Reply[]) {
	const asked: IncomingMessage[] = [];
	const server = createServer((request, response) => {
		const reply = replies[asked.length] ?? assert.fail(`request ${asked.length + 1} was not expected`);
		asked.push(request);
		request.resume().once("end", () => reply(request, response));
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const close = () => {
		server.closeAllConnections();
		server.close();
	};
	open.push({ close });
	const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
	return { asked, client: connect({ server: url, token: "vouch_t" }), server: { url, close } };
}

const json =
	(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Reply =>
	(_request, response) => {
		response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
	};
const hangUp: Reply = (request) => request.socket.destroy();
const busy = json(429, { error: "rate_limited", detail: "Too many requests." }, { "retry-after": "0" });

async function codeOf(call: Promise<unknown>): Promise<string> {
	const error = await call.then(
		() => assert.fail("it was expected to fail"),
		(problem: unknown) => problem,
	);
	assert.ok(error instanceof VouchError, String(error));
	return error.code;
}

test("a method puts members into the path and the query, and the token into a header", async () => {
	const { asked, client } = await scripted(json(200, { directives: [], next_cursor: null }), json(200, { id: "x" }));
	await client.directives.list({ limit: 5, state: "queued" });
	await client.directives.show({ directive_id: "a/b" });
	assert.equal(asked[0]?.url, "/mothership/api/v1/directives?limit=5&state=queued");
	assert.equal(asked[0]?.headers.authorization, "Bearer vouch_t");
	assert.equal(asked[1]?.url, "/mothership/api/v1/directives/a%2Fb");
});

/** Never called: what it says must not compile is seen by the type checker alone. */
export function wrongCalls(client: Client): void {
	// @ts-expect-error: the table says that it has a directive_id
	client.directives.show({ directive: "d" });
	// @ts-expect-error: a body has the members of its schema
	client.tokens.create({ body: { title: "t" } });
	// @ts-expect-error: there is no such operation
	client.directives.destroy();
}

test("what may be repeated is: reads after a lost connection or a proxy's 502, and anything that was refused as too much", async () => {
	const { asked, client } = await scripted(hangUp, json(502, {}), busy, json(200, { user: {} }));
	await client.account.whoami();
	assert.equal(asked.length, 4);
	const second = await scripted(busy, json(201, { id: "t" }));
	await second.client.tokens.create({ body: { name: "t" } });
	assert.equal(second.asked.length, 2);
});

test("what makes something is repeated only under its Idempotency-Key, the same one each time", async () => {
	const { asked, client } = await scripted(hangUp, json(201, { directive_id: "d" }));
	await client.directives.create({ facility_id: "f", body: { command: "true" } });
	const keys = asked.map(({ headers }) => headers["idempotency-key"]);
	assert.match(String(keys[0]), /^[0-9a-f-]{36}$/);
	assert.equal(keys[1], keys[0]);
	const other = await scripted(hangUp);
	assert.equal(await codeOf(other.client.tokens.create({ body: { name: "t" } })), "client.unreachable");
	assert.equal(other.asked.length, 1);
});

test("a refusal is thrown with the server's code, its sentence and its details, without anything that moves a cursor", async () => {
	const detail = "The request: command: \u001b[2Jtoo long.";
	const { client } = await scripted(json(422, { error: "validation_failed", detail, details: ["command: too long"] }));
	await assert.rejects(client.facilities.create({ body: { name: "x" } }), (error: VouchError) => {
		assert.equal(error.code, "validation-failed");
		assert.equal(error.row.status, 422);
		assert.equal(error.message, "The request: command:  [2Jtoo long.");
		assert.equal(error.details.details, "command: too long");
		return true;
	});
});

test("what is no control plane is said to be none", async () => {
	const page: Reply = (_request, response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>");
	const missing: Reply = (_request, response) => response.writeHead(404).end("not here");
	const { client } = await scripted(page, missing);
	assert.equal(await codeOf(client.account.whoami()), "client.answer-unreadable");
	assert.equal(await codeOf(client.tokens.create({ body: { name: "t" } })), "client.answer-unreadable");
	const { server } = await scripted();
	server.close();
	const nobody = connect({ server: server.url, attempts: 1 });
	await assert.rejects(nobody.account.whoami(), /nobody listens there/);
});

test("a caller who goes away ends it, also between attempts", async () => {
	const { client } = await scripted(json(429, { error: "rate_limited" }, { "retry-after": "60" }));
	const controller = new AbortController();
	setTimeout(() => controller.abort(), 100);
	const begun = Date.now();
	await assert.rejects(client.account.whoami({}, { signal: controller.signal }));
	assert.ok(Date.now() - begun < 10_000);
});

const chunk = (seq: number, text: string, stream = "stdout") =>
	`event: chunk\ndata: ${JSON.stringify({ event: "chunk", stream, seq, bytes_base64: btoa(text) })}\n\n`;
const stream =
	(text: string, then: "ends" | "breaks" = "ends"): Reply =>
	(_request, response) => {
		response.writeHead(200, { "content-type": "text/event-stream" });
		response.write(text, () => (then === "ends" ? response.end() : response.destroy()));
	};

test("following output goes on where a connection was lost, and gives each chunk once", async () => {
	const state = 'event: state\ndata: {"event":"state","state":"running"}\n\n';
	const end = 'event: end\ndata: {"event":"end","state":"succeeded","exit_code":0}\n\n';
	const { asked, client } = await scripted(
		stream(`${chunk(0, "a")}${state}: still running\n\n${chunk(1, "b", "stderr")}`, "breaks"),
		hangUp,
		stream(`${state}${chunk(1, "c")}`),
		stream(`${state}${end}`),
	);
	const seen: string[] = [];
	for await (const event of followLogs(client, "d"))
		seen.push(event.event === "chunk" ? atob(event.bytes_base64) : event.event);
	assert.deepEqual(seen, ["a", "state", "b", "c", "end"]);
	assert.match(asked[3]?.url ?? "", /after_stdout_seq=1&after_stderr_seq=1$/);
});

test("following what is refused throws the refusal", async () => {
	const { client } = await scripted(json(404, { error: "not_found", detail: "There is no directive d." }));
	await assert.rejects(async () => {
		for await (const _ of followLogs(client, "d"));
	}, /There is no directive d/);
});

test("every page of a list is walked", async () => {
	const { asked, client } = await scripted(
		json(200, { users: [{ id: "a" }], next_cursor: "n" }),
		json(200, { users: [{ id: "b" }], next_cursor: null }),
	);
	const ids: string[] = [];
	for await (const { users } of everyPage(client.users.list, { limit: 1 })) ids.push(...users.map(({ id }) => id));
	assert.deepEqual(ids, ["a", "b"]);
	assert.equal(asked[1]?.url, "/mothership/api/v1/users?limit=1&cursor=n");
});
