import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { writeServerCertificate } from "../agent/server-certificate.ts";
import { newCertificateRequest } from "./certificate-request.ts";
import { decodeAsNexusd } from "./decode-as-nexusd.ts";
import { inWorlds } from "./in-worlds.ts";
import { type Credential, STOCK_POLL, StockNode } from "./stock-node.ts";
import { API, type Parsed, submit, type World, type WorldOptions } from "./world.ts";

/** The ways in which existing nodes are known (conduits section 3.1), each with the control plane that it needs. */
const WAYS: Readonly<Record<Credential, WorldOptions>> = {
	header: { mode: "header" },
	proxy: { mode: "mtls", trustedProxies: ["127.0.0.0/8"] },
	certificate: { mode: "mtls", tls: "own", trustedProxies: ["192.0.2.1"] },
};
const REPOSITORY = "https://git.example.com/project.git";
const DIFF = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n";

describe("an existing node, unchanged", () => {
	for (const [way, options] of Object.entries(WAYS) as [Credential, WorldOptions][])
		inWorlds(`known by ${way}`, (world) => lifeOf(world, way), options);
});

/** What nexusd does, in its order and with its bodies (conduits section 7). */
function lifeOf(world: () => World, way: Credential): void {
	test("rejects early, is canceled, and asks for what it was not given, as it always did", async () => {
		const node = await StockNode.enroll(world(), {}, way);
		const rejected = await submit(world());
		const early = await leased(node, rejected);
		assert.equal((await early.post("started", { sandbox_version: "nexusd", nexus_version: "0.1.0-dev" })).status, 200);
		assert.equal((await early.post("finished", { status: "failed", exit_code: 1 })).status, 200);
		const canceled = await submit(world());
		const stopped = await leased(node, canceled);
		await stopped.started();
		await world().as("member", "POST", `${API}/directives/${canceled}/cancel`);
		const beat = await stopped.post("heartbeat", { progress: { state: "running" } });
		assert.equal(beat.body.cancel_requested, true);
		stopped.token = beat.body.directive_token;
		assert.equal((await stopped.post("finished", { status: "canceled", exit_code: 137 })).status, 200);
		assert.equal((await stopped.chunk("stdout", 9, "late")).status, 200);
		assert.equal((await node.post("/conduits/v1/directives/other/started", {}, stopped.bearer)).status, 403);
	});

	if (way !== "header") certificateTests(world, way);

	// The last one: it lets time pass, and TLS does not know of it.
	test("enrolls, is heard of, and runs what it is leased to the end", async () => {
		const node = await StockNode.enroll(world(), {}, way);
		// Its first poll may come before its first heartbeat.
		const [empty, heartbeat] = await Promise.all([node.post("/conduits/v1/polls", STOCK_POLL), node.heartbeat()]);
		assert.deepEqual([empty.status, heartbeat.status], [200, 200]);
		const id = await submitIn(world(), await repository(world()));
		const next = await submit(world());
		const lease = decodeAsNexusd((await node.post("/conduits/v1/polls", STOCK_POLL)).body);
		assert.equal(lease.directive_id, id);
		assert.equal(lease.spec.facility.repo_url, REPOSITORY);
		const own = new Reports(node, lease);
		// With its worker busy it polls once more: this one holds nothing, since it runs one at a time.
		assert.deepEqual((await node.post("/conduits/v1/polls", STOCK_POLL)).body.directives, []);
		assert.equal((await own.started()).status, 200);
		for (const [stream, seq, text] of OUTPUT) assert.equal((await own.chunk(stream, seq, text)).status, 200);
		const beat = await own.post("heartbeat", { progress: { state: "running" }, now: "2026-11-21T00:13:55.55Z" });
		assert.deepEqual([beat.status, beat.body.cancel_requested], [200, false]);
		own.token = beat.body.directive_token;
		const end = { status: "failed", exit_code: 3, finished_at: "2026-11-21T00:13:56.1Z" };
		const told = { ...end, diff_base64: Buffer.from(DIFF).toString("base64") };
		assert.equal((await own.post("finished", told)).status, 200);
		// What it found in its log of undelivered ends after a restart, hours later.
		world().pass(5 * 3_600_000);
		assert.deepEqual((await own.post("finished", told)).body.duplicate, true);
		const { body: shown } = await world().as("owner", "GET", `${API}/directives/${id}`);
		assert.deepEqual([shown.state, shown.exit_code, shown.territory_id], ["failed", 3, node.territoryId]);
		assert.equal((await world().as("owner", "GET", `${API}/directives/${id}/diff`)).body, DIFF);
		const tail = await world().as("owner", "GET", `${API}/directives/${id}/logs?follow=false`);
		assert.deepEqual(outputOf(tail.body), { stdout: "one\ntwo\n", stderr: "[prepare] clone\n" });
		await cancelAll(world(), [next]);
		world().pass(30 * 86_400_000);
		assert.equal((await node.heartbeat()).status, way === "header" ? 200 : 401, "a certificate is good for 30 days");
	});
}

function certificateTests(world: () => World, way: Credential): void {
	test("its certificate is renewed beside the old one, and both end when they are revoked", async () => {
		const node = await StockNode.enroll(world(), {}, way);
		const { key, csr } = newCertificateRequest();
		const renewed = await node.post("/conduits/v1/territories/certificate", { csr_pem: csr });
		assert.equal(renewed.status, 201, JSON.stringify(renewed.body));
		const pair = { cert: renewed.body.mtls_client_cert_pem, key };
		assert.ok(new X509Certificate(pair.cert).checkIssued(new X509Certificate(renewed.body.ca_bundle_pem)));
		const later = new StockNode(world(), node.territoryId, way, pair);
		for (const each of [node, later]) assert.equal((await each.heartbeat()).status, 200);
		const revoke = `${API}/territories/${node.territoryId}/revoke_certificates`;
		assert.equal((await world().as("operator", "POST", revoke)).body.revoked, 2);
		for (const each of [node, later]) assert.equal((await each.heartbeat()).status, 401);
	});

	test("nobody else is believed: another's header, a fingerprint that no proxy gave, a certificate of another authority", async () => {
		const node = await StockNode.enroll(world(), {}, way);
		const named = { "x-nexus-territory-id": node.territoryId };
		const ask = (headers: Record<string, string>) => world().ask("POST", "/conduits/v1/polls", { json: {}, headers });
		assert.equal((await ask(named)).status, 401);
		if (way === "proxy") return;
		assert.equal((await ask({ ...named, "x-nexus-client-cert-fingerprint": node.fingerprint })).status, 401);
		const files = await writeServerCertificate(mkdtempSync(join(world().home, "stranger-")));
		const stranger = { cert: readFileSync(files.certificate, "utf8"), key: readFileSync(files.key, "utf8") };
		assert.equal((await new StockNode(world(), node.territoryId, way, stranger).heartbeat()).status, 401);
	});
}

const OUTPUT = [
	["stderr", 0, "[prepare] clone\n"],
	["stdout", 0, "one\n"],
	// Its number two was refused by a proxy on the way, and nexusd sends nothing again.
	["stdout", 2, "two\n"],
] as const;

/** What a node says of one lease, with the newest token. */
class Reports {
	token: string;
	readonly #node: StockNode;
	readonly #id: string;

	constructor(node: StockNode, { directive_id, directive_token }: Parsed) {
		this.#node = node;
		this.#id = directive_id;
		this.token = directive_token;
	}

	get bearer(): { authorization: string } {
		return { authorization: `Bearer ${this.token}` };
	}

	post(what: string, json: unknown) {
		return this.#node.post(`/conduits/v1/directives/${this.#id}/${what}`, json, this.bearer);
	}

	started() {
		return this.post("started", {
			sandbox_version: "phase1-bwrap",
			nexus_version: "0.1.0-dev",
			started_at: "2026-11-21T00:13:55.554717946Z",
			effective_capabilities_summary: { driver: "bwrap", profile: "untrusted", net: { mode: "none" }, fs: null },
		});
	}

	chunk(stream: string, seq: number, text: string) {
		return this.post("log_chunks", { stream, seq, bytes: Buffer.from(text).toString("base64"), truncated: false });
	}
}

async function leased(node: StockNode, directiveId: string): Promise<Reports> {
	const lease = decodeAsNexusd((await node.post("/conduits/v1/polls", STOCK_POLL)).body);
	assert.equal(lease.directive_id, directiveId);
	return new Reports(node, lease);
}

async function repository(world: World): Promise<string> {
	const init = { repo_url: REPOSITORY };
	const { status, body } = await world.as("member", "POST", `${API}/facilities`, { kind: "repo", init });
	assert.equal(status, 201, JSON.stringify(body));
	return body.id;
}

async function submitIn(world: World, facility: string): Promise<string> {
	const limits = { cpu: 1500, memory_mb: 512 };
	const request = { command: "make test", limits, requested_capabilities: { net: { mode: "none" } } };
	const { status, body } = await world.as("member", "POST", `${API}/facilities/${facility}/directives`, request);
	assert.equal(status, 201, JSON.stringify(body));
	return body.directive_id;
}

async function cancelAll(world: World, ids: readonly string[]): Promise<void> {
	for (const id of ids) await world.as("owner", "POST", `${API}/directives/${id}/cancel`);
}

/** Of a stream of Server-Sent Events. */
function outputOf(text: string): Record<string, string> {
	const output: Record<string, string> = {};
	for (const [, data = "{}"] of text.matchAll(/^data: (.*)$/gm)) {
		const { event, stream, bytes_base64 }: Parsed = JSON.parse(data);
		if (event === "chunk") output[stream] = (output[stream] ?? "") + Buffer.from(bytes_base64, "base64").toString();
	}
	return output;
}
