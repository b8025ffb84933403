import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { OperationName } from "../src/api/index.ts";
import { startPostgres } from "../test/fleet/postgres-cluster.ts";
import { type Answer, addFacilities, addTerritories, openPlane, type Plane, personOf } from "./fleet-plane.ts";
import { inParallel } from "./fleet-rivals.ts";
import { interleave } from "./measure.ts";
import type { BenchResult, Measurement } from "./report.ts";

const ROUNDS = 3;
const CHUNKS = 100;
const CHUNK_BYTES = 64 * 1024;
const MANY = 20;

/** How fast the control plane takes in what directives print. */
export async function benchFleetOutput(directory: string): Promise<BenchResult> {
	const cluster = startPostgres("durable");
	try {
		const sqlite = await openPlane(`sqlite:${join(directory, "store.sqlite")}`, join(directory, "a"));
		const postgres = await openPlane(cluster.database(), join(directory, "b"));
		const measurements = [await output(sqlite, postgres, 1), await output(sqlite, postgres, MANY)];
		await sqlite.close();
		await postgres.close();
		const notes = ["Each chunk is durable before the next one of its directive is sent."];
		return { name: "fleet-output", measurements, notes };
	} finally {
		cluster.stop();
	}
}

async function output(sqlite: Plane, postgres: Plane, count: number): Promise<Measurement> {
	const columns = await interleave(
		[
			{ name: "SQLite", once: () => ingest(sqlite, count) },
			{ name: "PostgreSQL", once: () => ingest(postgres, count) },
		],
		ROUNDS,
	);
	const title = `Output taken in, 64 KiB a chunk, directives at once: ${count}`;
	return { title, unit: "MiB/s", columns, base: "SQLite", goals: [] };
}

/** MiB a second of so many directives together. */
async function ingest(plane: Plane, count: number): Promise<number> {
	plane.pass();
	const bytes = randomBytes(CHUNK_BYTES).toString("base64");
	const facilities = await addFacilities(plane, count);
	const [territoryId = ""] = await addTerritories(plane, 1);
	const limits = { max_output_bytes: CHUNKS * CHUNK_BYTES };
	const person = personOf(plane);
	for (const facility of facilities)
		await plane.call("directives.create", {
			params: { facility_id: facility },
			body: { command: "yes", limits },
			headers: person,
		});
	const node = { "x-nexus-territory-id": territoryId };
	const leases: Answer[] = [];
	while (leases.length < count)
		leases.push(
			...(await plane.call("nodes.poll", { body: { max_directives_to_claim: 5 }, headers: node })).directives,
		);
	const report = (lease: Answer, name: OperationName, body: unknown) => {
		const headers = { ...node, authorization: `Bearer ${lease.directive_token}` };
		return plane.call(name, { params: { directive_id: lease.directive_id }, body, headers });
	};
	for (const lease of leases) await report(lease, "nodes.started", {});
	const chunks = Math.ceil(CHUNKS / count);
	const startedMs = performance.now();
	await inParallel(count, count, async (at) => {
		for (let seq = 0; seq < chunks; seq++) await report(leases[at], "nodes.logChunk", { stream: "stdout", seq, bytes });
	});
	const tookMs = performance.now() - startedMs;
	for (const lease of leases) await report(lease, "nodes.finished", { status: "succeeded", exit_code: 0 });
	return (chunks * count * CHUNK_BYTES) / 2 ** 20 / (tookMs / 1000);
}
