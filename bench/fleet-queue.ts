import { join } from "node:path";
import { startPostgres } from "../test/fleet/postgres-cluster.ts";
import {
	type Answer,
	addFacilities,
	addTerritories,
	type Call,
	openPlane,
	type Plane,
	personOf,
} from "./fleet-plane.ts";
import { inParallel, openGraphile, openPgBoss } from "./fleet-rivals.ts";
import { interleave } from "./measure.ts";
import { type BenchResult, goal, type Measurement, medianOf } from "./report.ts";

const ROUNDS = 4;
/** So many that what a queue needs to begin is no part of its rate; a person may ask for 1,200 in a minute. */
const DIRECTIVES = 1_000;
const AT_ONCE = [50, 200];

/** The control plane's queue beside two others on the same PostgreSQL. */
export async function benchFleetQueue(directory: string): Promise<BenchResult> {
	const cluster = startPostgres("durable");
	try {
		const sqlite = await openPlane(`sqlite:${join(directory, "store.sqlite")}`, join(directory, "a"));
		const postgres = await openPlane(cluster.database(), join(directory, "b"));
		const measurements: Measurement[] = [];
		for (const atOnce of AT_ONCE)
			measurements.push(await throughput(sqlite, postgres, () => cluster.database(), atOnce));
		await sqlite.close();
		await postgres.close();
		return {
			name: "fleet-queue",
			measurements,
			notes: [
				`${DIRECTIVES} of each, in one process with the queue; every side's commits are durable.`,
				"Four changes of each: added, given out, begun, ended. graphile-worker knows no state between: its task adds a row.",
				"Each of the four is asked of the queue in its own process; with HTTP, by a request that is written, read and answered.",
				"A directive is authenticated, judged, signed and audited beside it.",
			],
		};
	} finally {
		cluster.stop();
	}
}

async function throughput(
	sqlite: Plane,
	postgres: Plane,
	database: () => string,
	atOnce: number,
): Promise<Measurement> {
	const [boss, graphile] = [await openPgBoss(database()), await openGraphile(database())];
	const columns = await interleave(
		[
			{ name: "vouch, SQLite", once: () => directives(sqlite, sqlite.ask, atOnce) },
			{ name: "vouch, PostgreSQL", once: () => directives(postgres, postgres.ask, atOnce) },
			{ name: "vouch, SQLite, HTTP", once: () => directives(sqlite, sqlite.call, atOnce) },
			{ name: "vouch, PostgreSQL, HTTP", once: () => directives(postgres, postgres.call, atOnce) },
			{ name: "pg-boss", once: () => boss.jobs(DIRECTIVES, atOnce) },
			{ name: "graphile-worker", once: () => graphile.jobs(DIRECTIVES, atOnce) },
		],
		ROUNDS,
	);
	await boss.close();
	await graphile.close();
	const ours = medianOf(columns, "vouch, PostgreSQL");
	const goals = ["pg-boss", "graphile-worker"].map((name) => {
		const ratio = ours / medianOf(columns, name);
		return goal(`ahead of ${name}`, `${ratio.toFixed(2)} times its rate`, () => ratio > 1);
	});
	const title = `Submitted, leased, started, finished; at once: ${atOnce}`;
	return { title, unit: "directives/s", columns, base: "vouch, PostgreSQL", goals };
}

async function directives(plane: Plane, call: Call, atOnce: number): Promise<number> {
	plane.pass();
	const territories = await addTerritories(plane, atOnce);
	const facilities = await addFacilities(plane, DIRECTIVES);
	const headers = personOf(plane);
	const startedMs = performance.now();
	await inParallel(DIRECTIVES, atOnce, (at) =>
		call("directives.create", { params: { facility_id: facilities[at] ?? "" }, body: { command: "true" }, headers }),
	);
	await Promise.all(territories.map((territoryId) => work(call, territoryId)));
	return (DIRECTIVES / (performance.now() - startedMs)) * 1000;
}

/** A node that does nothing, until there is nothing more. */
async function work(call: Call, territoryId: string): Promise<void> {
	const node = { "x-nexus-territory-id": territoryId };
	for (;;) {
		const { directives: leases } = await call("nodes.poll", { body: { max_directives_to_claim: 5 }, headers: node });
		if (leases.length === 0) return;
		for (const { directive_id: id, directive_token } of leases as Answer[]) {
			const headers = { ...node, authorization: `Bearer ${directive_token}` };
			const params = { directive_id: id };
			await call("nodes.started", { params, headers });
			await call("nodes.finished", { params, body: { status: "succeeded", exit_code: 0 }, headers });
		}
	}
}
