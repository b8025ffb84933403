import assert from "node:assert/strict";
import { addTerritory } from "../../src/fleet/index.ts";
import { type Account, type Answered, API, type Parsed, type World } from "./world.ts";

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

/** A node as nexusd is one: header authentication, POST with a JSON object, and the newest token of each directive. */
export class StockNode {
	readonly world: World;
	readonly territoryId: string;
	readonly #tokens = new Map<string, string>();

	constructor(world: World, territoryId: string) {
		this.world = world;
		this.territoryId = territoryId;
	}

	static async enroll(
		world: World,
		{ account = world.account, ...more }: { account?: Account } & Record<string, unknown> = {},
	): Promise<StockNode> {
		const token = await enrollmentToken(world, account);
		const json = { enroll_token: token, name: "node", labels: { os: "linux" }, ...more };
		const { status, body } = await world.ask("POST", "/conduits/v1/territories/enroll", { json });
		assert.equal(status, 201, JSON.stringify(body));
		return new StockNode(world, body.territory_id);
	}

	/** A territory that has enrolled before: enrolling itself may only be done ten times an hour. */
	static async join(world: World, account: Account = world.account): Promise<StockNode> {
		return new StockNode(world, await world.store.transaction((session) => addTerritory(session, account.owner)));
	}

	get headers(): Record<string, string> {
		return { "x-nexus-territory-id": this.territoryId };
	}

	post(path: string, json: unknown = {}, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
		return this.world.ask("POST", path, { json, headers: { ...this.headers, ...headers } });
	}

	get(path: string): Promise<Answered> {
		return this.world.ask("GET", path, { headers: this.headers });
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
			started_at: "2026-11-21T00:13:55.554717946Z",
			effective_capabilities_summary: { driver: "bwrap", profile: "untrusted", net: null, fs: null },
			...more,
		});
	}

	chunk(directiveId: string, seq: number, text: string | Uint8Array, more: object = {}): Promise<Answered> {
		const bytes = Buffer.from(text).toString("base64");
		return this.report(directiveId, "log_chunks", { stream: "stdout", seq, bytes, ...more });
	}

	finished(directiveId: string, more: Readonly<Record<string, unknown>> = {}): Promise<Answered> {
		const said = { exit_code: 0, status: "succeeded", finished_at: "2026-11-21T00:13:56.1Z" };
		return this.report(directiveId, "finished", { ...said, ...more });
	}
}

export async function enrollmentToken(world: World, account: Account = world.account): Promise<string> {
	const { status, body } = await world.ask("POST", `${API}/enrollment_tokens`, {
		headers: account.headersOf("owner"),
		json: {},
	});
	assert.equal(status, 201, JSON.stringify(body));
	return body.token;
}
