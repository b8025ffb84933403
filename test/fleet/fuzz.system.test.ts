import assert from "node:assert/strict";
import { connect as dial } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import WebSocket from "ws";
import { inWorlds } from "./in-worlds.ts";
import { bodyOf, idsOfNothing, isNodeRow, makeOneOfEach, pathOf, ROWS } from "./row-requests.ts";
import { StockNode } from "./stock-node.ts";
import { submit, type World } from "./world.ts";

const RUNS = Number(process.env.VOUCH_FUZZ_RUNS ?? 250);

type Schema = ReturnType<typeof JSON.parse>;

/** Values that mostly fit a schema of our document, and sometimes are anything. */
function valueFor(schema: Schema, depth = 0): fc.Arbitrary<unknown> {
	const anything = fc.jsonValue({ maxDepth: 3 }).map((value) => value as unknown);
	return fc.oneof({ weight: 9, arbitrary: fitting(schema ?? {}, depth) }, { weight: 1, arbitrary: anything });
}

/** Not by `String`: an object may have a `toString` that is none. */
function textOf(value: unknown): string {
	return typeof value === "string" ? value : JSON.stringify(value);
}

const ODD = ["\u0000", "\ud800", "a".repeat(70_000), "' or 1=1 --", "../../etc/passwd", "__proto__", "💩", ""];

function fitting(schema: Schema, depth: number): fc.Arbitrary<unknown> {
	if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
	if (schema.const !== undefined) return fc.constant(schema.const);
	if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((each: Schema) => valueFor(each, depth)));
	switch (schema.type) {
		case "string":
			return fc.oneof(fc.string({ unit: "binary", maxLength: 40 }), fc.constantFrom(...ODD), fc.base64String());
		case "integer":
		case "number":
			return fc.oneof(fc.integer(), fc.constantFrom(0, -1, 1, 2 ** 53, -(2 ** 63), 1.5, 1e308));
		case "boolean":
			return fc.boolean();
		case "null":
			return fc.constant(null);
		case "array":
			return depth > 3 ? fc.constant([]) : fc.array(valueFor(schema.items, depth + 1), { maxLength: 4 });
		case "object": {
			if (depth > 4) return fc.constant({});
			const members = Object.entries<Schema>(schema.properties ?? {}).map(([name, member]) => [
				name,
				valueFor(member, depth + 1),
			]);
			if (members.length === 0) return fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 });
			return fc.record(Object.fromEntries(members), { requiredKeys: schema.required ?? [] });
		}
		default:
			return fc.jsonValue({ maxDepth: 3 });
	}
}

async function credentials(world: World): Promise<{ node: Record<string, string>; ids: Record<string, string> }> {
	const own = await makeOneOfEach(world, world.account);
	const node = await StockNode.join(world);
	await submit(world);
	const [lease] = await node.poll();
	await node.started(lease.directive_id);
	const authorization = `Bearer ${node.tokenOf(lease.directive_id)}`;
	return { node: { ...node.headers, authorization }, ids: { ...own, directive_id: lease.directive_id } };
}

inWorlds("fuzz made from our own OpenAPI document", (world) => {
	test("no request of any form gives a 5xx or hangs, and each refusal has a code", async () => {
		const { body: document } = await world().ask("GET", "/openapi.json");
		const { node, ids } = await credentials(world());
		const requests = ROWS.map(([name, row]) => {
			const operation = document.paths[row.route][row.method.toLowerCase()];
			const schema = operation.requestBody?.content["application/json"].schema;
			const query = fc.record(
				Object.fromEntries(
					operation.parameters
						.filter((parameter: Schema) => parameter.in === "query" && parameter.name !== "follow")
						.map((parameter: Schema) => [
							parameter.name,
							fc.oneof(valueFor(parameter.schema), fc.string()).map(textOf),
						]),
				),
				{ requiredKeys: [] },
			);
			const body = schema === undefined ? fc.constant(undefined) : valueFor(schema);
			return fc.record({ name: fc.constant(name), row: fc.constant(row), query, body, own: fc.boolean() });
		});
		await fc.assert(
			fc.asyncProperty(fc.oneof(...requests), async ({ name, row, query, body, own }) => {
				world().pass(name.startsWith("nodes.") ? 10 : 1000);
				const path = pathOf(row, own && row.effect !== "destroy" ? ids : idsOfNothing());
				const follow = name === "directives.tail" ? { follow: "false" } : {};
				const search = new URLSearchParams({ ...(query as Record<string, string>), ...follow }).toString();
				const headers = isNodeRow(row) ? node : world().account.headersOf("owner");
				const isBodiless = row.method === "GET" || row.body === null;
				const json = isBodiless ? {} : { json: body ?? bodyOf(name) };
				const answered = await world().ask(row.method, `${path}?${search}`.slice(0, 12_000), { headers, ...json });
				const { responses } = document.paths[row.route][row.method.toLowerCase()];
				const said = `${name}: ${answered.status} ${JSON.stringify(answered.body)}`;
				assert.ok(answered.status < 500, said);
				assert.ok(String(answered.status) in responses, `${said} is not in the document`);
				if (answered.status >= 400) assert.equal(typeof answered.body.error, "string", name);
			}),
			{ numRuns: RUNS },
		);
		assert.equal((await world().ask("GET", "/up")).status, 200);
	});

	test("no frame on the WebSocket ends the server or is answered to another", async () => {
		const node = await StockNode.join(world());
		const url = `${world().base.replace("http", "ws")}/cable?territory_id=${node.territoryId}`;
		const identifier = JSON.stringify({ channel: "Conduits::TerritoryChannel" });
		const frame = fc.oneof(
			fc.string(),
			fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.stringify(value)),
			fc
				.record({
					command: fc.constantFrom("subscribe", "unsubscribe", "message", "nonsense"),
					identifier: fc.oneof(fc.constant(identifier), fc.string()),
					data: fc.oneof(
						fc.string(),
						fc
							.jsonValue()
							.map((value) =>
								JSON.stringify({ action: "command_result", command_id: value, status: "completed", result: value }),
							),
					),
				})
				.map((value) => JSON.stringify(value)),
			fc.constantFrom("[".repeat(100_000), "\u0000", '{"command":"subscribe"}'),
		);
		await fc.assert(
			fc.asyncProperty(fc.array(frame, { maxLength: 8 }), async (frames) => {
				const socket = new WebSocket(url, "actioncable-v1-json");
				await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
				for (const each of frames) socket.send(each);
				const closed = new Promise((resolve) => socket.once("close", resolve));
				socket.close();
				await closed;
			}),
			{ numRuns: 60 },
		);
		assert.equal((await world().ask("GET", "/up")).status, 200);
	});

	test("no bytes on a connection end the server", async () => {
		const { hostname, port } = new URL(world().base);
		await fc.assert(
			fc.asyncProperty(spoken, async (bytes) => {
				const socket = dial(Number(port), hostname);
				const closed = new Promise((resolve) => socket.once("close", resolve).on("error", () => {}));
				socket.end(bytes, "latin1");
				socket.resume();
				await closed;
			}),
			{ numRuns: 300 },
		);
		assert.equal((await world().ask("GET", "/up")).status, 200);
	});
});

const odd = fc.oneof(
	fc.string({ unit: "binary", maxLength: 20 }),
	fc.constantFrom(
		"//",
		"/%",
		"/%00",
		"*",
		"http://",
		"//x:y:z/",
		"/cable?%",
		"/../..",
		"[::",
		"a".repeat(20_000),
		"\r\n",
		"\0",
	),
);
const target = fc.oneof(
	fc.constantFrom("/cable", "/up", "/conduits/v1/polls", "/docs"),
	odd,
	fc.tuple(odd, odd).map((parts) => parts.join("?")),
);
const header = fc.oneof(
	fc.constantFrom(
		"Host: x",
		"Upgrade: h2c",
		"Transfer-Encoding: chunked",
		"Content-Length: 5",
		"Content-Length: -1",
		"Content-Type: application/json",
		"Expect: 100-continue",
	),
	fc.tuple(odd, odd).map((words) => words.join(": ")),
);
const FOR_WEBSOCKET = [
	"Host: x",
	"Connection: Upgrade",
	"Upgrade: websocket",
	"Sec-WebSocket-Version: 13",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	"Sec-WebSocket-Protocol: actioncable-v1-json",
];
const headers = fc
	.tuple(fc.constantFrom([], ["Host: x"], FOR_WEBSOCKET), fc.array(header, { maxLength: 3 }))
	.map((parts) => parts.flat());
/** Nearly a request, or nothing like one. */
const spoken = fc.oneof(
	{
		weight: 5,
		arbitrary: fc
			.record({
				method: fc.oneof(fc.constantFrom("GET", "GET", "POST", "CONNECT", "OPTIONS", "PRI"), odd),
				target,
				version: fc.constantFrom("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", ""),
				headers,
				body: odd,
			})
			.map(({ method, target, version, headers, body }) =>
				[`${method} ${target} ${version}`, ...headers, "", body].join("\r\n"),
			),
	},
	{ weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("latin1")) },
);
