import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { addTerritory, openStore } from "../src/fleet/index.ts";
import { type FleetMachine, memoryOf, openFleetMachine } from "./fleet-machine.ts";
import { inParallel } from "./fleet-rivals.ts";
import type { BenchResult, Measurement } from "./report.ts";

const SOCKETS = 1_000;
const OPENED_AT_ONCE = 50;
/** Until what a program did while it began is collected. */
const QUIET_MS = 15_000;

/** What a node that has nothing to do holds, and a control plane to which a thousand of them are connected. */
export async function benchFleetMemory(directory: string): Promise<BenchResult> {
	const fleet = await openFleetMachine(directory);
	try {
		const agent = await fleet.startAgent("node-1");
		await sleep(QUIET_MS);
		const idle = memoryOf(agent.pid);
		const alone = memoryOf(fleet.server.pid);
		await agent.stop();
		const sockets = await openSockets(fleet);
		await sleep(QUIET_MS);
		const connected = memoryOf(fleet.server.pid);
		for (const socket of sockets) socket.terminate();
		const table = (title: string, rows: Readonly<Record<string, number>>): Measurement => {
			const columns = Object.entries(rows).map(([name, value]) => ({ name, samples: [value] }));
			return { title, unit: "MiB", columns, base: columns[0]?.name ?? "", goals: [] };
		};
		return {
			name: "fleet-memory",
			measurements: [
				table("An idle agent", { resident: idle.rss, "its share": idle.pss }),
				table("A control plane, resident", { alone: alone.rss, [`with ${SOCKETS} WebSockets`]: connected.rss }),
				table("A control plane, its share", { alone: alone.pss, [`with ${SOCKETS} WebSockets`]: connected.pss }),
			],
			notes: ["The share counts a page that several processes map by its part, as /proc/PID/smaps_rollup does."],
		};
	} finally {
		await fleet.close();
	}
}

/** Enrolling a thousand from one address would take days: their rows are added beside the control plane. */
async function openSockets({ address, owner, storeFile }: FleetMachine): Promise<readonly WebSocket[]> {
	const { account_id: accountId, user } = await owner.account.whoami();
	const store = await openStore(`sqlite:${storeFile}`);
	const territories = await store.transaction(async (session) => {
		const ids: string[] = [];
		for (let at = 0; at < SOCKETS; at++) ids.push(await addTerritory(session, { accountId, userId: user.id }));
		return ids;
	});
	await store.close();
	const opened: WebSocket[] = [];
	await inParallel(SOCKETS, OPENED_AT_ONCE, async (at) => {
		const url = `${address.replace(/^http/, "ws")}/cable?territory_id=${territories[at]}`;
		const socket = new WebSocket(url, "actioncable-v1-json");
		opened.push(socket);
		await once(socket, "open");
		socket.send(JSON.stringify({ command: "subscribe", identifier: JSON.stringify(CHANNEL) }));
		await once(socket, "message");
	});
	return opened;
}

const CHANNEL = { channel: "Conduits::TerritoryChannel" };
