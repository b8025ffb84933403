import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { certificateRequest } from "./certificate-request.ts";
import { inWorlds } from "./in-worlds.ts";
import { enrollmentToken, StockNode } from "./stock-node.ts";
import { API, type World } from "./world.ts";

const ENROLL = "/conduits/v1/territories/enroll";
const HOUR_MS = 3_600_000;

inWorlds("enrollment (conduits 2.3.1, 3.4, 3.5)", (world) => {
	test("answers 201 with the territory and its settings, and no certificate unless one was asked for", async () => {
		const json = { enroll_token: await enrollmentToken(world()), name: "node", labels: { os: "linux" } };
		const { status, body } = await world().ask("POST", ENROLL, { json });
		assert.equal(status, 201);
		assert.equal(body.kind, "server");
		assert.match(body.territory_id, /^[0-9a-f-]{36}$/);
		assert.deepEqual(body.config, {
			poll_interval_seconds: 2,
			heartbeat_interval_seconds: 30,
			heartbeat_interval_ws_seconds: 300,
			lease_ttl_seconds: 300,
			cable_url: "/cable",
		});
		assert.ok(!("mtls_client_cert_pem" in body) && !("ca_bundle_pem" in body));
		const shown = await world().as("member", "GET", `${API}/territories/${body.territory_id}`);
		assert.equal(shown.body.status, "online");
		assert.deepEqual(shown.body.labels, { os: "linux" });
	});

	test("a name is made up when none is given; labels of the request win over the token's; capacity comes from metadata", async () => {
		const made = await world().as("owner", "POST", `${API}/enrollment_tokens`, { labels: { os: "bsd", rack: "4" } });
		const json = {
			enroll_token: made.body.token,
			kind: "desktop",
			labels: { os: "linux" },
			metadata: { capacity: { max_concurrent: 3 } },
			unheard_of: { members: "are ignored" },
		};
		const { status, body } = await world().ask("POST", ENROLL, { json });
		assert.equal(status, 201);
		const shown = await world().as("owner", "GET", `${API}/territories/${body.territory_id}`);
		assert.match(shown.body.name, /^nexus-[0-9a-f]{8}$/);
		assert.deepEqual(shown.body.labels, { os: "linux", rack: "4" });
		assert.deepEqual(shown.body.capacity, { max_concurrent: 3 });
		assert.equal(shown.body.kind, "desktop");
	});

	test("signs a certificate request for 30 days, by which the territory is known, also behind a proxy's header", async () => {
		const json = { enroll_token: await enrollmentToken(world()), csr_pem: certificateRequest() };
		const { status, body } = await world().ask("POST", ENROLL, { json });
		assert.equal(status, 201, JSON.stringify(body));
		const certificate = new X509Certificate(body.mtls_client_cert_pem);
		const authority = new X509Certificate(body.ca_bundle_pem);
		assert.ok(certificate.verify(authority.publicKey) && authority.ca && !certificate.ca);
		assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.2"]);
		assert.match(certificate.subject, /O=Cybros Nexus/);
		assert.match(authority.subject, /CN=Cybros Conduits CA/);
		const days = (Date.parse(certificate.validTo) - Date.now()) / 86_400_000;
		assert.ok(days > 29.9 && days < 30.1, `${days} days`);
		const fingerprint = createHash("sha256").update(certificate.raw).digest("hex");
		const known = (header: string) =>
			world().ask("POST", "/conduits/v1/polls", { json: {}, headers: { "x-nexus-client-cert-fingerprint": header } });
		assert.equal((await known(fingerprint)).status, 200);
		assert.equal((await known(` ${certificate.fingerprint256} `)).status, 200);
		assert.equal((await known("0".repeat(64))).status, 401);
		const revoke = `${API}/territories/${body.territory_id}/revoke_certificates`;
		assert.deepEqual((await world().as("operator", "POST", revoke)).body, {
			territory_id: body.territory_id,
			revoked: 1,
		});
		assert.equal((await known(fingerprint)).status, 401);
	});

	test("a token that is unknown, missing, used, revoked or expired is 422 invalid_token, all the same", async () => {
		const used = await enrollmentToken(world());
		assert.equal((await world().ask("POST", ENROLL, { json: { enroll_token: used } })).status, 201);
		const revoked = await world().as("owner", "POST", `${API}/enrollment_tokens`, {});
		await world().as("owner", "DELETE", `${API}/enrollment_tokens/${revoked.body.id}`);
		const expired = await enrollmentToken(world());
		world().pass(2 * HOUR_MS);
		const bodies = [];
		for (const enroll_token of [used, revoked.body.token, expired, "nonsense", "", null, undefined]) {
			const { status, body } = await world().ask("POST", ENROLL, { json: { enroll_token } });
			assert.equal(status, 422);
			assert.equal(body.error, "invalid_token");
			bodies.push(JSON.stringify(body));
		}
		assert.equal(new Set(bodies).size, 1);
	});

	test("what is wrong leaves the token usable: a bad kind, a request that is none, a key that is none", async () => {
		world().pass(2 * HOUR_MS);
		const enroll_token = await enrollmentToken(world());
		const csr_pem = certificateRequest();
		const broken = csr_pem.replace(/^(.{200})./s, (_all, head: string) => `${head}${csr_pem[200] === "A" ? "B" : "A"}`);
		for (const more of [
			{ kind: "spaceship" },
			{ csr_pem: "not a request" },
			{ csr_pem: broken },
			{ receipt_public_key: "AAAA" },
			{ labels: [] },
			{ name: 5 },
		]) {
			const { status, body } = await world().ask("POST", ENROLL, { json: { enroll_token, ...more } });
			assert.equal(status, 422, JSON.stringify({ more, body }));
			assert.match(body.error, /^(validation_failed|invalid_param)$/);
		}
		assert.equal((await world().ask("POST", ENROLL, { json: { enroll_token } })).status, 201);
	});

	test("of two that enroll with one token at once, one does", async () => {
		world().pass(2 * HOUR_MS);
		const enroll_token = await enrollmentToken(world());
		const all = await Promise.all([1, 2, 3, 4].map(() => world().ask("POST", ENROLL, { json: { enroll_token } })));
		assert.deepEqual(all.map(({ status }) => status).sort(), [201, 422, 422, 422]);
	});

	test("the eleventh in an hour from one address is 429 with Retry-After", async () => {
		world().pass(2 * HOUR_MS);
		for (let index = 0; index < 10; index++)
			assert.equal((await world().ask("POST", ENROLL, { json: { enroll_token: "no" } })).status, 422);
		const refused = await world().ask("POST", ENROLL, { json: { enroll_token: "no" } });
		assert.equal(refused.status, 429);
		assert.equal(refused.headers.get("retry-after"), "3600");
		assert.equal(refused.body.error, "rate_limited");
	});

	test("a decommissioned territory is shut out", async () => {
		const node = await StockNode.join(world());
		assert.equal((await node.heartbeat()).status, 200);
		await world().as("operator", "POST", `${API}/territories/${node.territoryId}/decommission`);
		for (const path of ["/conduits/v1/polls", "/conduits/v1/territories/heartbeat"]) {
			const { status } = await node.post(path);
			assert.ok(status === 401 || status === 403, `${path}: ${status}`);
		}
	});

	test("a certificate is renewed by the territory that has one, and the old one stays good", async () => {
		world().pass(2 * HOUR_MS);
		const node = await StockNode.enroll(world(), { csr_pem: certificateRequest() });
		const renewed = await node.post("/conduits/v1/territories/certificate", { csr_pem: certificateRequest() });
		assert.equal(renewed.status, 201, JSON.stringify(renewed.body));
		assert.ok(new X509Certificate(renewed.body.mtls_client_cert_pem));
		assert.equal((await countCertificates(world(), node.territoryId)).length, 2);
	});
});

function countCertificates(world: World, territoryId: string): Promise<readonly unknown[]> {
	return world.store.read(({ db }) =>
		db.selectFrom("certificates").selectAll().where("territory_id", "=", territoryId).execute(),
	);
}

inWorlds(
	"in mode mtls (conduits 3.1)",
	(world) => {
		test("the header X-Nexus-Territory-Id says nothing", async () => {
			const node = await StockNode.join(world());
			const { status, body } = await node.post("/conduits/v1/polls");
			assert.equal(status, 401);
			assert.equal(body.error, "unauthorized");
		});
	},
	{ mode: "mtls" },
);
inWorlds(
	"in mode header (conduits 3.1)",
	(world) => {
		test("the header is believed when it is the id of a territory, and anything else is 401", async () => {
			const node = await StockNode.join(world());
			assert.equal((await node.post("/conduits/v1/polls")).status, 200);
			for (const id of ["nonsense", "", "01a1fce8-d646-7615-aa4c-de5ae8979835", "' or 1=1 --"]) {
				const headers = { "x-nexus-territory-id": id };
				assert.equal((await world().ask("POST", "/conduits/v1/polls", { json: {}, headers })).status, 401);
			}
		});
	},
	{ mode: "header" },
);
