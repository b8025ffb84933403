import { join } from "node:path";
import { startPostgres } from "../test/fleet/postgres-cluster.ts";
import { addFacilities, addTerritories, fillQueue, openPlane, type Plane } from "./fleet-plane.ts";
import { type Column, median } from "./measure.ts";
import { type BenchResult, goal, type Measurement } from "./report.ts";

const AGENTS = 500;
const SHORT_QUEUE = 500;
const LONG_QUEUE = 50_000;
const CLAIMS = 100;

/** Whether a claim takes longer when more waits behind what can be claimed. */
export async function benchFleetClaims(directory: string): Promise<BenchResult> {
	const cluster = startPostgres("durable");
	try {
		const sqlite = await openPlane(`sqlite:${join(directory, "store.sqlite")}`, join(directory, "a"));
		const postgres = await openPlane(cluster.database(), join(directory, "b"));
		const measurements = [await claims(sqlite, "SQLite"), await claims(postgres, "PostgreSQL")];
		await sqlite.close();
		await postgres.close();
		return { name: "fleet-claims", measurements, notes: ["One poll after the other, each by another agent."] };
	} finally {
		cluster.stop();
	}
}

/** What a poll of one of many agents takes, with a short queue and with a long one behind it. */
async function claims(plane: Plane, store: string): Promise<Measurement> {
	const territories = await addTerritories(plane, AGENTS);
	const columns: Column[] = [];
	for (const count of [SHORT_QUEUE, LONG_QUEUE]) {
		const facilities = await addFacilities(plane, SHORT_QUEUE);
		await fillQueue(plane, facilities, count);
		plane.pass();
		const samples: number[] = [];
		for (let at = 0; at < CLAIMS; at++) {
			const headers = { "x-nexus-territory-id": territories[at % AGENTS] ?? "" };
			const startedMs = performance.now();
			const { directives: leases } = await plane.call("nodes.poll", { headers });
			samples.push(performance.now() - startedMs);
			if (leases.length !== 1) throw new Error(`a poll gave ${leases.length} directives`);
		}
		columns.push({ name: `${count} queued`, samples });
		await plane.store.transaction(async ({ db }) => {
			await db.updateTable("directives").set({ state: "canceled", ready: 0 }).execute();
		});
	}
	const growth = median(columns[1]?.samples ?? []) / median(columns[0]?.samples ?? []);
	const goals = [goal("flat: at most 1.5 times as long", `${growth.toFixed(2)} times`, () => growth <= 1.5)];
	return { title: `A claim, ${AGENTS} agents, ${store}`, unit: "ms", columns, base: `${SHORT_QUEUE} queued`, goals };
}
