import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import fc from "fast-check";
import { realHost } from "../../host/index.ts";
import { parseChallenges } from "./challenge.ts";
import { findCredentials } from "./credentials.ts";
import { parseRegistryReference } from "./reference.ts";
import { Session } from "./session.ts";

const directory = mkdtempSync(join(tmpdir(), "vouch-login-"));
const closing: (() => void)[] = [];
after(() => {
	for (const close of closing) close();
	rmSync(directory, { recursive: true, force: true });
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(handler: Handler): Promise<number> {
	const server = createServer(handler);
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	closing.push(() => {
		server.closeAllConnections();
		server.close();
	});
	return (server.address() as AddressInfo).port;
}

function authFile(name: string, contents: unknown): string {
	const path = join(directory, name);
	writeFileSync(path, JSON.stringify(contents));
	return path;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const patience = { stallMs: 2000, slowestBytesPerSecond: 1, tries: 2, pauseMs: 1, longestPauseMs: 2 };

function sessionWith(port: number, authFiles: readonly string[] = []): Session {
	const session = new Session(
		parseRegistryReference(`127.0.0.1:${port}/team/app:1`),
		{ doing: "Pulling it", actions: "pull" },
		{ authFiles, host: realHost(), patience },
	);
	closing.push(() => session.close());
	return session;
}

function get(session: Session): Promise<number> {
	return session.persist(async () => {
		const answer = await session.ask({ method: "GET", to: "blobs/x", takes: [200] });
		answer.body.resume();
		return answer.status;
	});
}

test("a token is fetched with the login and for the scope, and shown to the registry", async () => {
	const asked: string[] = [];
	const tokens = await serve((request, response) => {
		asked.push(`${request.url} ${request.headers.authorization}`);
		response.end(JSON.stringify({ token: "t0ken" }));
	});
	const port = await serve((request, response) => {
		if (request.headers.authorization === "Bearer t0ken") return response.end("blob");
		const challenge = `Bearer realm="http://127.0.0.1:${tokens}/auth?x=1",service="the, \\"registry\\"",scope="repository:team/app:pull"`;
		return response.writeHead(401, { "www-authenticate": challenge }).end();
	});
	const session = sessionWith(port, [
		authFile("token.json", { auths: { [`127.0.0.1:${port}`]: { auth: base64("ann:pass:word") } } }),
	]);
	assert.equal(await get(session), 200);
	assert.equal(await get(session), 200);
	assert.equal(asked.length, 1);
	const [path = "", ...authorization] = (asked[0] ?? "").split(" ");
	const query = new URL(path, "http://x").searchParams;
	assert.deepEqual(
		[query.get("x"), query.get("service"), query.getAll("scope")],
		["1", 'the, "registry"', ["repository:team/app:pull"]],
	);
	assert.equal(authorization.join(" "), `Basic ${base64("ann:pass:word")}`);
});

test("an identity token is posted, a token that has run out is renewed", async () => {
	let given = 0;
	const forms: string[] = [];
	const tokens = await serve(async (request, response) => {
		for await (const chunk of request) forms.push(String(chunk));
		given += 1;
		response.end(JSON.stringify({ access_token: `t${given}` }));
	});
	let current = 1;
	const port = await serve((request, response) => {
		if (request.headers.authorization === `Bearer t${current}`) return response.end("blob");
		return response.writeHead(401, { "www-authenticate": `Bearer realm="http://127.0.0.1:${tokens}/"` }).end();
	});
	const path = authFile("identity.json", { auths: { [`http://127.0.0.1:${port}/v1/`]: { identitytoken: "refresh" } } });
	const session = sessionWith(port, [join(directory, "missing.json"), path]);
	assert.equal(await get(session), 200);
	current = 2;
	assert.equal(await get(session), 200);
	assert.match(forms[0] ?? "", /grant_type=refresh_token.*refresh_token=refresh/);
});

test("without a login that is taken, the sentence says what to run", async () => {
	const port = await serve((_, response) => response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end());
	await assert.rejects(get(sessionWith(port)), { code: "registry-login-needed", message: /skopeo login 127\.0\.0\.1/ });
	const file = authFile("basic.json", { auths: { [`127.0.0.1:${port}`]: { auth: base64("ann:wrong") } } });
	await assert.rejects(get(sessionWith(port, [file])), {
		code: "registry-login-needed",
		message: /does not take the login/,
	});
});

test("a redirect leads elsewhere without the login, and never away from TLS", async () => {
	const seen: (string | undefined)[] = [];
	const storage = await serve((request, response) => {
		seen.push(request.headers.authorization);
		response.end("blob");
	});
	let location = `http://127.0.0.1:${storage}/blob`;
	const port = await serve((request, response) => {
		if (request.headers.authorization === undefined) {
			return response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
		}
		return response.writeHead(307, { location }).end();
	});
	const file = authFile("redirect.json", { auths: { [`127.0.0.1:${port}`]: { auth: base64("ann:right") } } });
	assert.equal(await get(sessionWith(port, [file])), 200);
	assert.deepEqual(seen, [undefined]);
	location = "http://storage.example.net/blob";
	await assert.rejects(get(sessionWith(port, [file])), { code: "registry-answer-wrong", message: /not HTTPS/ });
	location = `http://127.0.0.1:${port}/again`;
	await assert.rejects(get(sessionWith(port, [file])), {
		code: "registry-answer-wrong",
		message: /redirects more than/,
	});
});

test("an upload is not sent to another host", async () => {
	const port = await serve((request, response) =>
		request.method === "HEAD"
			? response.writeHead(404).end()
			: response.writeHead(202, { location: "http://127.0.0.1:1/steal" }).end(),
	);
	const { uploadBlob } = await import("./upload.ts");
	const blob = { digest: parseRegistryReference(`a.b/c@sha256:${"0".repeat(64)}`).digest, bytes: Buffer.from("x") };
	assert.ok(blob.digest !== null);
	const work = uploadBlob(sessionWith(port), { digest: blob.digest, bytes: blob.bytes });
	await assert.rejects(work, { code: "registry-answer-wrong", message: /sends the upload to/ });
});

test("logins: the closest entry wins, then helpers, and what can't be read holds none", async () => {
	const host = realHost();
	const file = authFile("closest.json", {
		auths: {
			"r.example.org": { auth: base64("host:1") },
			"r.example.org/team": { auth: base64("team:2") },
			"r.example.org/team/app/": { auth: base64("app:3") },
			"other.example.org": { auth: "!!!" },
		},
	});
	const find = (registry: string, repository: string, ...authFiles: string[]) =>
		findCredentials({ registry, repository }, { authFiles, host });
	assert.deepEqual(await find("r.example.org", "team/app", file), { kind: "password", user: "app", password: "3" });
	assert.deepEqual(await find("r.example.org", "team/b", file), { kind: "password", user: "team", password: "2" });
	assert.deepEqual(await find("r.example.org", "x", file), { kind: "password", user: "host", password: "1" });
	assert.equal(await find("other.example.org", "x", file), undefined);
	const broken = join(directory, "broken.json");
	writeFileSync(broken, "{");
	assert.equal(await find("r.example.org", "x", broken, join(directory, "none.json")), undefined);

	const helper = join(directory, "docker-credential-test");
	writeFileSync(helper, `#!/bin/sh\nread -r name || :\nprintf '{"Username":"<token>","Secret":"of %s"}' "$name"\n`);
	chmodSync(helper, 0o755);
	const helped = authFile("helper.json", { credHelpers: { "h.example.org": "test", "e.example.org": "../evil" } });
	const path = process.env.PATH;
	process.env.PATH = `${directory}:${path}`;
	try {
		assert.deepEqual(await find("h.example.org", "x", helped), { kind: "identity-token", token: "of h.example.org" });
		assert.equal(await find("e.example.org", "x", helped), undefined);
	} finally {
		process.env.PATH = path;
	}
});

test("challenges: several in one header; anything else is read to its end in no time", () => {
	assert.deepEqual(parseChallenges('Basic realm="a", Bearer realm="b",service=c,realm="d"'), [
		{ scheme: "basic", parameters: new Map([["realm", "a"]]) },
		{
			scheme: "bearer",
			parameters: new Map([
				["realm", "b"],
				["service", "c"],
			]),
		},
	]);
	assert.deepEqual(parseChallenges(undefined), []);
	fc.assert(
		fc.property(
			fc.string({ unit: fc.constantFrom("a", "=", '"', "\\", ",", " ", "Bearer "), maxLength: 400 }),
			(text) => {
				for (const { scheme } of parseChallenges(text)) assert.match(scheme, /^\S+$/);
			},
		),
	);
});

test("references: the registry is always named, and nothing else gets through", () => {
	const digest = `sha256:${"a".repeat(64)}`;
	assert.deepEqual(parseRegistryReference("localhost:5000/a/b"), {
		registry: "localhost:5000",
		repository: "a/b",
		tag: "latest",
		digest: null,
	});
	assert.deepEqual(parseRegistryReference(`docker://r.example.org/a:1@${digest}`), {
		registry: "r.example.org",
		repository: "a",
		tag: "1",
		digest,
	});
	for (const bad of [
		"debian",
		"debian/x",
		"r.example.org/",
		"r.example.org/A",
		"r.example.org/a/../b",
		"r.example.org/a:",
		"r.example.org:0/a",
		"r.example.org/a@sha256:0",
		"user@r.example.org/a",
		"r.example.org/a?x=1",
		"r.example.org\\@e/a",
		"/a/b",
		"../a/b",
	]) {
		assert.throws(() => parseRegistryReference(bad), { code: "registry-reference-invalid" }, bad);
	}
	fc.assert(
		fc.property(fc.string({ maxLength: 60 }), (text) => {
			try {
				const { registry, repository } = parseRegistryReference(`r.example.org/${text}`);
				assert.equal(registry, "r.example.org");
				assert.equal(new URL(`https://${registry}/v2/${repository}/x`).pathname, `/v2/${repository}/x`);
			} catch (error) {
				assert.match(String((error as { code?: string }).code), /registry-reference-invalid/);
			}
		}),
	);
});
