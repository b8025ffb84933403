import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { z } from "zod";
import type { Operation, OperationName } from "../../src/api/index.ts";
import { ROLES } from "../../src/api/people/schema.ts";
import { inWorlds } from "./in-worlds.ts";
import {
	bodyOf,
	type Ids,
	idsOfNothing,
	isNodeRow,
	isPeopleRow,
	JSON_TYPE,
	makeOneOfEach,
	pathOf,
	ROWS,
} from "./row-requests.ts";
import { StockNode } from "./stock-node.ts";
import { type Account, type Answered, API, newFacility, submit, type World } from "./world.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;
const MINUTE_MS = 61_000;

/** A territory with a running directive and the credentials for it. */
async function nodeAtWork(
	world: World,
): Promise<{ readonly ids: Ids; readonly headers: Record<string, string>; node: StockNode }> {
	const node = await StockNode.join(world);
	const directive_id = await submit(world);
	await node.claim(directive_id);
	await node.started(directive_id);
	const authorization = `Bearer ${node.tokenOf(directive_id)}`;
	return { node, ids: { ...idsOfNothing(), directive_id }, headers: { ...node.headers, authorization } };
}

function errorOf({ body }: Answered): string {
	assert.equal(typeof body?.error, "string", JSON.stringify(body));
	assert.ok(typeof body.detail === "string" && body.detail.length > 5, "a sentence says what was wrong");
	return body.error;
}

inWorlds("every row of the table, asked by the wrong ones", (world) => {
	test("without a credential: 401", async () => {
		for (const [name, row] of ROWS.filter(([, { callers }]) => !callers.includes("anyone"))) {
			for (const headers of [
				{},
				{ authorization: "Bearer " },
				{ authorization: "Basic YTpi" },
				{ "x-account-id": "' or 1=1" },
			]) {
				const answered = await world().ask(row.method, pathOf(row, idsOfNothing()), {
					headers: { ...headers, ...(row.method === "GET" ? {} : JSON_TYPE) },
					...(row.method === "GET" ? {} : { raw: JSON.stringify(bodyOf(name)) }),
				});
				assert.equal(answered.status, 401, `${name} ${JSON.stringify(headers)}`);
				assert.equal(errorOf(answered), "unauthorized");
			}
			world().pass(MINUTE_MS);
		}
	});

	test("with a role that may not: 403, and the roles of the row are let in", async () => {
		for (const [name, row] of ROWS.filter(([, each]) => isPeopleRow(each))) {
			world().pass(MINUTE_MS);
			for (const role of ROLES) {
				const json = row.method === "GET" ? undefined : bodyOf(name);
				const answered = await world().as(role, row.method, pathOf(row, idsOfNothing()), json);
				const isIn = row.callers.includes(role);
				assert.equal(answered.status === 403, !isIn, `${name} as ${role}: ${answered.status}`);
				assert.ok(answered.status < 500 && answered.status !== 401, `${name} as ${role}: ${answered.status}`);
			}
		}
	});

	test("with a node's credential where people are asked for, and the other way round: 401", async () => {
		const { headers } = await nodeAtWork(world());
		for (const [name, row] of ROWS.filter(([, { callers }]) => !callers.includes("anyone"))) {
			world().pass(MINUTE_MS);
			const wrong = isNodeRow(row) ? world().account.headersOf("owner") : headers;
			const asking = row.method === "GET" ? { headers: wrong } : { headers: wrong, json: bodyOf(name) };
			const { status } = await world().ask(row.method, pathOf(row, idsOfNothing()), asking);
			assert.equal(status, 401, name);
		}
	});

	test("with a token that is expired, revoked, of somebody disabled, or cut short: 401", async () => {
		const make = async (more: object, account: Account = world().account) => {
			const asking = { headers: account.headersOf("owner"), json: { name: "token", ...more } };
			const { status, body } = await world().ask("POST", `${API}/tokens`, asking);
			assert.equal(status, 201, JSON.stringify(body));
			return body;
		};
		const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
		const good = await make({});
		assert.equal((await world().ask("GET", `${API}/whoami`, { headers: bearer(good.token) })).status, 200);
		const expired = await make({ expires_in_seconds: 60 });
		const revoked = await make({});
		await world().ask("DELETE", `${API}/tokens/${revoked.id}`, { headers: bearer(good.token) });
		const disabled = await make({ user_id: world().account.people.auditor, role: "auditor" });
		const path = `${API}/users/${world().account.people.auditor}`;
		assert.equal((await world().as("owner", "PATCH", path, { disabled: true })).status, 200);
		world().pass(MINUTE_MS);
		const bad = [expired.token, revoked.token, disabled.token, good.token.slice(0, -1), `${good.token}A`];
		for (const [name, row] of ROWS.filter(([, each]) => isPeopleRow(each))) {
			world().pass(MINUTE_MS);
			for (const token of bad) {
				const json = row.method === "GET" ? {} : { json: bodyOf(name) };
				const asking = { headers: bearer(token), ...json };
				assert.equal((await world().ask(row.method, pathOf(row, idsOfNothing()), asking)).status, 401, name);
			}
		}
		await world().as("owner", "PATCH", path, { disabled: false });
	});

	test("for what is another tenant's: 404, as for what is not there, and nothing of it changes", async () => {
		const theirs = await makeOneOfEach(world(), world().stranger);
		const mine = await makeOneOfEach(world(), world().account);
		// What time alone changes (a command runs out, a territory falls silent) has happened before anybody looks.
		world().pass(60 * MINUTE_MS);
		await world().runJobs();
		const before = await everything(world());
		for (const [name, row] of ROWS.filter(([, each]) => isPeopleRow(each) && each.route.includes("{"))) {
			world().pass(MINUTE_MS);
			const json = row.method === "GET" ? undefined : bodyOf(name);
			const answered = await world().as("owner", row.method, pathOf(row, theirs), json);
			assert.equal(answered.status, 404, `${name}: ${answered.status} ${JSON.stringify(answered.body)}`);
			assert.equal(errorOf(answered), "not_found");
			// Theirs below mine, where a path has two.
			const mixed = { ...theirs, facility_id: mine.facility_id ?? "" };
			if (row.route.includes("{facility_id}/"))
				if (name !== "directives.create" && name !== "directives.listInFacility")
					assert.equal((await world().as("owner", row.method, pathOf(row, mixed), json)).status, 404, `${name}, mixed`);
			const nothing = await world().as("owner", row.method, pathOf(row, idsOfNothing()), json);
			assert.equal(nothing.status, 404, `${name} of nothing: ${nothing.status}`);
		}
		assert.ok((await everything(world())) === before, "something of the stranger changed");
	});

	test("for another tenant's things named in a query or a body: nothing, or 404", async () => {
		const theirs = await makeOneOfEach(world(), world().stranger);
		for (const query of ["facility_id", "territory_id"]) {
			const { status, body } = await world().as("owner", "GET", `${API}/directives?${query}=${theirs[query]}`);
			assert.equal(status, 200);
			assert.deepEqual(body.directives, []);
		}
		const command = { capability: "camera.snap", target: { territory_id: theirs.territory_id } };
		assert.equal((await world().as("owner", "POST", `${API}/commands`, command)).status, 404);
		const facility = { kind: "empty", territory_id: theirs.territory_id };
		assert.equal((await world().as("owner", "POST", `${API}/facilities`, facility)).status, 404);
		const token = { name: "x", user_id: theirs.user_id };
		assert.equal((await world().as("owner", "POST", `${API}/tokens`, token)).status, 404);
		const scopes = [
			["User", theirs.user_id],
			["Conduits::Facility", theirs.facility_id],
			["Account", world().stranger.owner.accountId],
		];
		for (const [scope_type, scope_id] of scopes) {
			const { status } = await world().as("owner", "POST", `${API}/policies`, { name: "x", scope_type, scope_id });
			assert.ok(status === 404 || status === 422, `${scope_type}: ${status}`);
		}
	});
});

inWorlds("every row of the table, asked in the wrong form", (world) => {
	/** A credential that each row takes, and ids that fit it. */
	async function credentialed(): Promise<
		(row: (typeof ROWS)[number][1]) => { headers: Record<string, string>; ids: Ids }
	> {
		world().pass(MINUTE_MS);
		const { headers, ids } = await nodeAtWork(world());
		return (row) => ({ headers: isNodeRow(row) ? headers : world().account.headersOf("owner"), ids });
	}

	test("a body that is not JSON is 400; one that is of another form is 422 and names the member", async () => {
		const of = await credentialed();
		for (const [name, row] of ROWS.filter(([, { body }]) => body !== null)) {
			const { headers, ids } = of(row);
			for (const raw of ['{"a":', "nonsense", "{'a':1}", '{"a":1}}', "\u0000"]) {
				const asking = { headers: { ...headers, ...JSON_TYPE }, raw };
				const answered = await world().ask(row.method, pathOf(row, ids), asking);
				assert.equal(answered.status, 400, `${name} ${raw}: ${answered.status}`);
				assert.equal(errorOf(answered), "malformed_body");
			}
			for (const json of [[], "text", 5, true]) {
				const answered = await world().ask(row.method, pathOf(row, ids), { headers, json });
				assert.equal(answered.status, 422, `${name} ${JSON.stringify(json)}: ${answered.status}`);
				errorOf(answered);
			}
			world().pass(name.startsWith("nodes.") ? 0 : MINUTE_MS);
			if (name === "nodes.heartbeat" || name === "nodes.renewCertificate") world().pass(MINUTE_MS);
		}
	});

	test("a directive that no node could read is 422 and names the member, instead of waiting for a node", async () => {
		const facility = await newFacility(world());
		const far = `/workspace/${"long/".repeat(818)}`;
		for (const [more, member] of [
			[{ requested_capabilities: { net: { mode: "allowlist", allow: ["a.example.com", ""] } } }, "network.allow.1"],
			[{ limits: { disk_mb: 2 ** 40 } }, "limits.diskWriteMiB"],
			[{ cwd: far.replace("/workspace/", "./") }, "workingDirectory"],
		] as const) {
			const path = `${API}/facilities/${facility}/directives`;
			const answered = await world().as("member", "POST", path, { command: "true", ...more });
			assert.equal(answered.status, 422, member);
			assert.match(answered.body.detail, new RegExp(`${member}: `));
		}
	});

	test("each member of each body and query, of a type that it is not, is 422 and named", async () => {
		let count = 0;
		for (const [name, row] of ROWS) {
			// A new lease for each: its token ends while the windows of other rows pass.
			const { headers, ids } = (await credentialed())(row);
			for (const { where, member, value } of wrongMembers(name, row)) {
				count += 1;
				world().pass(name === "nodes.enroll" ? 60 * MINUTE_MS : count % 8 === 0 && !isNodeRow(row) ? MINUTE_MS : 0);
				if (row.rate === "territory-heartbeat") world().pass(MINUTE_MS);
				const search = where === "query" ? `?${new URLSearchParams({ [member]: String(value) })}` : "";
				const json = { ...(bodyOf(name) as object), ...(where === "body" ? { [member]: value } : {}) };
				const asking = row.body === null ? { headers } : { headers, json };
				const answered = await world().ask(row.method, pathOf(row, ids) + search, asking);
				const what = `${name} ${where} ${member}=${JSON.stringify(value)}: ${answered.status}`;
				assert.equal(answered.status, 422, what);
				assert.ok(JSON.stringify(answered.body).includes(member), `${what} does not name it`);
			}
		}
		assert.ok(count > 150, `${count} members were tried`);
	});

	test("a content type that is not JSON is 415", async () => {
		for (const [name, row] of ROWS.filter(([, { body, method }]) => body !== null && method !== "GET")) {
			if (name === "nodes.enroll") world().pass(60 * MINUTE_MS);
			const { headers, ids } = (await credentialed())(row);
			for (const type of [
				"text/plain",
				"application/xml",
				"multipart/form-data; boundary=x",
				"application/jsonp",
				"nonsense",
				"",
			]) {
				const asking = { headers: { ...headers, "content-type": type }, raw: new Uint8Array(Buffer.from("{}")) };
				const answered = await world().ask(row.method, pathOf(row, ids), asking);
				assert.equal(answered.status, 415, `${name} ${type}: ${answered.status}`);
				assert.equal(errorOf(answered), "unsupported_media_type");
			}
		}
	});

	test("a body larger than the row's is 413, before it is read", async () => {
		for (const [name, row] of ROWS.filter(([, { body }]) => body !== null)) {
			if (name === "nodes.enroll") world().pass(60 * MINUTE_MS);
			const { headers, ids } = (await credentialed())(row);
			const answer = await announce(world().base, row.method, pathOf(row, ids), headers, row.bodyBytes + 1);
			assert.match(answer, /^HTTP\/1\.1 413 /, name);
			assert.match(answer, /"error":"body_too_large"/, name);
		}
		const raw = `{"name":"${"x".repeat(2 * 1024 * 1024)}"}`;
		const asking = { headers: { ...world().account.headersOf("owner"), ...JSON_TYPE }, raw };
		assert.equal((await world().ask("POST", `${API}/policies`, asking)).status, 413);
	});

	test("another method is 405 and Allow says which", async () => {
		for (const route of new Set(ROWS.map(([, row]) => row.route))) {
			const rows = ROWS.filter(([, row]) => row.route === route);
			const allowed = new Set<string>(rows.map(([, { method }]) => method));
			const path = pathOf(rows[0]?.[1] ?? assert.fail(), idsOfNothing());
			for (const method of METHODS.filter((each) => !allowed.has(each))) {
				const answered = await world().ask(method, path);
				assert.equal(answered.status, 405, `${method} ${route}: ${answered.status}`);
				assert.equal(errorOf(answered), "method_not_allowed");
				const named = new Set((answered.headers.get("allow") ?? "").split(", ").filter((each) => each !== "HEAD"));
				assert.deepEqual(named, allowed, route);
			}
		}
	});

	test("a path that is none is 404, however it is spelled", async () => {
		for (const path of [
			"/",
			"/nope",
			"/conduits/v1",
			`${API}/directives/`,
			`${API}//directives`,
			`${API}/directives/%00`,
			`${API}/x/../directives/y/z`,
			"/%zz",
			"/..%2f..%2fetc/passwd",
		]) {
			const { status } = await world().ask("GET", path);
			assert.ok([400, 401, 404, 422].includes(status), `${path}: ${status}`);
		}
	});

	test("an error of the server's own never shows: what a header, a cursor or a query holds is taken as text", async () => {
		const odd = [
			"%00",
			"%ff",
			"a".repeat(600),
			"-1",
			"0",
			"1e9",
			"NaN",
			"%27%20or%201%3D1--",
			"%F0%9F%92%A9",
			"[]",
			"%7B%7D",
		];
		for (const [name, row] of ROWS.filter(([, each]) => isPeopleRow(each) && each.method === "GET")) {
			world().pass(MINUTE_MS);
			for (const member of Object.keys(row.query.shape)) {
				for (const value of odd) {
					const path = `${pathOf(row, idsOfNothing())}?${member}=${value}`;
					const { status } = await world().as("owner", "GET", path);
					assert.ok(status < 500, `${name} ${member}=${value}: ${status}`);
				}
			}
		}
	});
});

const ODD_VALUES = [5, "\u{1F4A9} no such", true, [5], { odd: 5 }, -1e30] as const;

/** Members with a value that is none of theirs, as their own schemas say. */
function wrongMembers(name: OperationName, row: Operation) {
	const wrong = (where: "body" | "query", schema: z.ZodType, base: object, values: readonly unknown[]) => {
		const members = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
		return members.flatMap((member) => {
			const value = values.find((each) => {
				const { error } = schema.safeParse({ ...base, [member]: each });
				return error?.issues.some(({ path }) => path[0] === member) === true;
			});
			return value === undefined ? [] : [{ where, member, value }];
		});
	};
	const inner = row.body instanceof z.ZodOptional ? row.body.unwrap() : row.body;
	const body = inner instanceof z.ZodNullable ? inner.unwrap() : inner;
	return [
		...(body === null ? [] : wrong("body", body as z.ZodType, bodyOf(name) as object, ODD_VALUES)),
		...wrong("query", row.query, {}, ODD_VALUES.filter((value) => typeof value !== "object").map(String)),
	];
}

/** Announces a body without sending it, and gives the answer's text. */
function announce(
	base: string,
	method: string,
	path: string,
	headers: Record<string, string>,
	sizeBytes: number,
): Promise<string> {
	const { hostname, port } = new URL(base);
	const lines = Object.entries({ host: hostname, ...headers, ...JSON_TYPE, "content-length": String(sizeBytes) });
	return new Promise((resolve, reject) => {
		const socket = connect(Number(port), hostname);
		let text = "";
		const give = () => {
			socket.destroy();
			resolve(text);
		};
		socket.setTimeout(10_000, give);
		socket.once("error", reject);
		socket.once("close", give);
		socket.on("data", (chunk) => {
			text += chunk.toString();
			if (text.includes("\r\n\r\n") && text.trimEnd().endsWith("}")) give();
		});
		socket.write(`${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
	});
}

/** What the stranger's things are: all rows of the tables that requests could change. */
async function everything(world: World): Promise<unknown> {
	const { accountId } = world.stranger.owner;
	return world.store.read(async ({ db }) => {
		const tables = [
			"facilities",
			"directives",
			"territories",
			"policies",
			"commands",
			"users",
			"api_tokens",
			"enrollment_tokens",
		] as const;
		const found: unknown[] = [];
		for (const table of tables)
			found.push(await db.selectFrom(table).selectAll().where("account_id", "=", accountId).orderBy("id").execute());
		return JSON.stringify(found);
	});
}
