import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { addTerritory } from "../../src/fleet/index.ts";
import { newCertificateRequest } from "./certificate-request.ts";
import { type Account, type Answered, API, type ClientCertificate, type Parsed, type World } from "./world.ts";

/** Bodies that the Go nexusd was seen to send (conduits specification, marked [V]). */
export const STOCK_HEARTBEAT = {
	nexus_version: "0.1.0-dev",
	running_directives_count: 1,
	labels: { os: "linux" },
	capacity: {
		sandbox_health: {
			bwrap: { healthy: true, details: { bwrap_path: "/usr/bin/bwrap", driver: "bwrap" } },
			container: { healthy: false, details: { driver: "container", error: "x", runtime_path: "/usr/bin/podman" } },
			host: { healthy: true, details: { driver: "host" } },
		},
		supported_profiles: ["host", "untrusted", "trusted"],
		untrusted_driver: "bwrap",
	},
};
export const STOCK_POLL = { supported_sandbox_profiles: ["host", "untrusted", "trusted"], max_directives_to_claim: 1 };

/**
 * How a node is known: by the header that nexusd sends in any case; by the fingerprint that a proxy in front of the control plane
 * adds to it; by its certificate, where the control plane ends TLS itself.
 */
export type Credential = "header" | "proxy" | "certificate";

/** A node as nexusd is one: POST with a JSON object, and the newest token of each directive. */
export class StockNode {
	readonly world: World;
	readonly territoryId: string;
	readonly #credential: Credential;
	readonly #certificate: ClientCertificate | undefined;
	readonly #tokens = new Map<string, string>();

	constructor(world: World, territoryId: string, credential: Credential = "header", certificate?: ClientCertificate) {
		this.world = world;
		this.territoryId = territoryId;
		this.#credential = credential;
		this.#certificate = certificate;
	}

	static async enroll(
		world: World,
		{ account = world.account, ...more }: { account?: Account } & Record<string, unknown> = {},
		credential: Credential = "header",
	): Promise<StockNode> {
		const token = await enrollmentToken(world, account);
		const requested = credential === "header" ? undefined : newCertificateRequest("node");
		const csr = requested === undefined ? {} : { csr_pem: requested.csr };
		const json = { enroll_token: token, name: "node", labels: { os: "linux" }, ...csr, ...more };
		const { status, body } = await world.ask("POST", "/conduits/v1/territories/enroll", { json });
		assert.equal(status, 201, JSON.stringify(body));
		if (requested === undefined) return new StockNode(world, body.territory_id, credential);
		// What nexusd fails without.
		assert.ok(body.mtls_client_cert_pem !== "" && body.ca_bundle_pem !== "");
		const certificate = { cert: body.mtls_client_cert_pem, key: requested.key };
		return new StockNode(world, body.territory_id, credential, certificate);
	}

	/** A territory that has enrolled before: enrolling itself may only be done ten times an hour. */
	static async join(world: World, account: Account = world.account, kind?: "bridge"): Promise<StockNode> {
		return new StockNode(world, await world.store.transaction((session) => addTerritory(session, account.owner, kind)));
	}

	get certificate(): ClientCertificate {
		return this.#certificate ?? assert.fail("it has no certificate");
	}

	get fingerprint(): string {
		return new X509Certificate(this.certificate.cert).fingerprint256;
	}

	get headers(): Record<string, string> {
		const own = { "x-nexus-territory-id": this.territoryId };
		return this.#credential === "proxy" ? { ...own, "x-nexus-client-cert-fingerprint": this.fingerprint } : own;
	}

	post(path: string, json: unknown = {}, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
		return this.world.ask("POST", path, { json, headers: { ...this.headers, ...headers }, ...this.#shown() });
	}

	get(path: string): Promise<Answered> {
		return this.world.ask("GET", path, { headers: this.headers, ...this.#shown() });
	}

	#shown(): { readonly certificate?: ClientCertificate } {
		return this.#credential === "certificate" ? { certificate: this.certificate } : {};
	}

	heartbeat(json: unknown = STOCK_HEARTBEAT): Promise<Answered> {
		return this.post("/conduits/v1/territories/heartbeat", json);
	}

	/** The leases that a poll gives; their tokens are kept. */
	async poll(more: Readonly<Record<string, unknown>> = {}): Promise<Parsed[]> {
		const { status, body } = await this.post("/conduits/v1/polls", { ...STOCK_POLL, ...more });
		assert.equal(status, 200, JSON.stringify(body));
		for (const lease of body.directives) this.#tokens.set(lease.directive_id, lease.directive_token);
		return body.directives;
	}

	/** Polls until it holds this directive. */
	async claim(directiveId: string): Promise<string> {
		const leases = await this.poll();
		assert.deepEqual(
			leases.map((lease) => lease.directive_id),
			[directiveId],
		);
		return directiveId;
	}

	tokenOf(directiveId: string): string {
		return this.#tokens.get(directiveId) ?? assert.fail(`no token of ${directiveId}`);
	}

	async report(directiveId: string, what: string, json: unknown = {}): Promise<Answered> {
		const authorization = `Bearer ${this.tokenOf(directiveId)}`;
		const answered = await this.post(`/conduits/v1/directives/${directiveId}/${what}`, json, { authorization });
		if (typeof answered.body.directive_token === "string") this.#tokens.set(directiveId, answered.body.directive_token);
		return answered;
	}

	/** As nexusd says it has begun. */
	started(directiveId: string, more: Readonly<Record<string, unknown>> = {}): Promise<Answered> {
		return this.report(directiveId, "started", {
			sandbox_version: "phase1-bwrap",
			nexus_version: "0.1.0-dev",
			started_at: nexusdTime(),
			effective_capabilities_summary: { driver: "bwrap", profile: "untrusted", net: null, fs: null },
			...more,
		});
	}

	chunk(directiveId: string, seq: number, text: string | Uint8Array, more: object = {}): Promise<Answered> {
		const bytes = Buffer.from(text).toString("base64");
		return this.report(directiveId, "log_chunks", { stream: "stdout", seq, bytes, ...more });
	}

	finished(directiveId: string, more: Readonly<Record<string, unknown>> = {}): Promise<Answered> {
		const said = { exit_code: 0, status: "succeeded", finished_at: nexusdTime() };
		return this.report(directiveId, "finished", { ...said, ...more });
	}
}

/** A moment ago, in nanoseconds, as nexusd writes it. */
function nexusdTime(): string {
	return new Date(Date.now() - 1000).toISOString().replace("Z", "717946Z");
}

export async function enrollmentToken(world: World, account: Account = world.account): Promise<string> {
	const { status, body } = await world.ask("POST", `${API}/enrollment_tokens`, {
		headers: account.headersOf("owner"),
		json: {},
	});
	assert.equal(status, 201, JSON.stringify(body));
	return body.token;
}
