import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Client, connect } from "../../src/api/index.ts";
import { openStore, type Store } from "../../src/fleet/index.ts";
import { freePort } from "../fixtures/free-port.ts";
import { startPostgres } from "../fleet/postgres-cluster.ts";
import { addressOf } from "../system/fleet-door.ts";
import { FrontDoor } from "../system/front-door.ts";
import { Victim } from "./victim.ts";

const CONTROL_PLANES = 2;
const AGENTS = 3;
const FACILITIES = 5;
export const LEASE_SECONDS = 8;

/** PostgreSQL, control planes and agents, each a process of its own; agents run commands with the host driver. */
export interface DrillFleet {
	readonly store: Store;
	readonly servers: readonly Victim[];
	readonly agents: readonly Victim[];
	/** The owner's, one for each control plane. */
	readonly clients: readonly Client[];
	readonly facilities: readonly string[];
	/** Where commands take a lock for as long as they run. */
	readonly locks: string;
}

/** Whatever of it was opened is ended with the stack, also when the rest can't be. */
export async function openFleet(opened: AsyncDisposableStack): Promise<DrillFleet> {
	const cluster = opened.adopt(startPostgres(), (postgres) => postgres.stop());
	const door = opened.adopt(new FrontDoor(), (programs) => programs.close());
	const url = cluster.database();
	const first = await startServer(door, url);
	const others = await Promise.all(Array.from({ length: CONTROL_PLANES - 1 }, () => startServer(door, url)));
	const token = first.token ?? assert.fail("an empty store gives its owner a token");
	const servers = [first, ...others];
	const clients = servers.map(({ address }) => connect({ server: address, token }));
	const owner = clients[0] ?? assert.fail();
	const agents = await Promise.all(
		Array.from({ length: AGENTS }, async (_, at) => {
			const server = servers[at % servers.length]?.address ?? assert.fail();
			return startAgent(door, owner, server, `agent-${at}`);
		}),
	);
	const facilities = await Promise.all(
		Array.from({ length: FACILITIES }, async () => (await owner.facilities.create({ body: { kind: "empty" } })).id),
	);
	const locks = join(door.directory, "locks");
	mkdirSync(locks);
	const store = opened.adopt(await openStore(url), (connections) => connections.close());
	return { store, servers: servers.map(({ victim }) => victim), agents, clients, facilities, locks };
}

async function startServer(door: FrontDoor, store: string) {
	// Who is killed and started again has the port that it had.
	const port = await freePort();
	const words = ["server", "--store", store, "--data", join(door.directory, "server"), "--log-level", "error"];
	const own = ["--territory-auth", "either", "--port", String(port)];
	const environment = { VOUCH_SERVER_LEASE_SECONDS: String(LEASE_SECONDS) };
	const victim = new Victim(`control plane ${port}`, door, [...words, ...own], environment);
	const { url: address, token } = await addressOf(victim.going);
	return { victim, address, token };
}

async function startAgent(door: FrontDoor, owner: Client, server: string, name: string): Promise<Victim> {
	const { token } = await owner.enrollmentTokens.create({ body: { labels: {}, expires_in_seconds: 600 } });
	const data = join(door.directory, name);
	const { code, stderr } = await door.run([
		...["agent", "enroll", "--server", server, "--token", token, "--name", name, "--data", data],
	]);
	assert.equal(code, 0, stderr);
	return new Victim(name, door, ["agent", "--data", data, "--max-concurrent", "2", "--log-level", "error"], {
		VOUCH_AGENT_HOST_PROFILE: "accepted",
		VOUCH_AGENT_HEARTBEAT: "1s",
		VOUCH_AGENT_TERRITORY_HEARTBEAT: "2s",
		VOUCH_AGENT_RETRY_BACKOFF: "300ms",
		VOUCH_AGENT_MINIMUM_FREE: "1M",
	});
}
