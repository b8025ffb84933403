import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import WebSocket from "ws";
import { startPostgres } from "../test/fleet/postgres-cluster.ts";
import { type Answer, addFacilities, addTerritories, fillQueue, openPlane, type Plane } from "./fleet-plane.ts";
import { inParallel, openGraphile, openPgBoss } from "./fleet-rivals.ts";
import { type Column, interleave, median } from "./measure.ts";
import { type BenchResult, goal, type Measurement, medianOf } from "./report.ts";

const ROUNDS = 2;
const DIRECTIVES = 100;
const AT_ONCE = 20;
const AGENTS = 500;
const SHORT_QUEUE = 500;
const LONG_QUEUE = 50_000;
const CLAIMS = 100;
const CHUNKS = 60;
const CHUNK_BYTES = 64 * 1024;
const SOCKETS = 1_000;
const NODE = "/conduits/v1";

/** The control plane's queue beside two others on the same PostgreSQL, and what it costs to hold a fleet. */
export async function benchFleet(directory: string): Promise<BenchResult> {
	const cluster = startPostgres("durable");
	try {
		const sqlite = await openPlane(`sqlite:${join(directory, "store.sqlite")}`, join(directory, "a"));
		const postgres = await openPlane(cluster.database(), join(directory, "b"));
		const measurements = [
			await throughput(sqlite, postgres, cluster.database()),
			await claims(sqlite, "SQLite"),
			await claims(postgres, "PostgreSQL"),
			await output(sqlite, postgres),
			await sockets(sqlite),
		];
		await sqlite.close();
		await postgres.close();
		return {
			name: "fleet",
			measurements,
			notes: [
				`${AT_ONCE} at once, in one process with the control plane; PostgreSQL and SQLite make every commit durable.`,
				"A directive is judged, signed, audited and leased; a job of the others is a row.",
			],
		};
	} finally {
		cluster.stop();
	}
}

async function throughput(sqlite: Plane, postgres: Plane, url: string): Promise<Measurement> {
	const [boss, graphile] = [await openPgBoss(url), await openGraphile(url)];
	const columns = await interleave(
		[
			{ name: "vouch, SQLite", once: () => directives(sqlite) },
			{ name: "vouch, PostgreSQL", once: () => directives(postgres) },
			{ name: "pg-boss", once: () => boss.jobs(DIRECTIVES, AT_ONCE) },
			{ name: "graphile-worker", once: () => graphile.jobs(DIRECTIVES, AT_ONCE) },
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
	const title = "Submitted, leased, started, finished";
	return { title, unit: "directives/s", columns, base: "vouch, PostgreSQL", goals };
}

async function directives(plane: Plane): Promise<number> {
	plane.pass();
	const territories = await addTerritories(plane, AT_ONCE);
	const facilities = await addFacilities(plane, DIRECTIVES);
	const { accountId, userId } = plane.owner;
	const person = { "x-account-id": accountId, "x-user-id": userId };
	const startedMs = performance.now();
	await inParallel(DIRECTIVES, AT_ONCE, (at) =>
		plane.call(`/mothership/api/v1/facilities/${facilities[at]}/directives`, { command: "true" }, person),
	);
	await Promise.all(territories.map((territoryId) => work(plane, territoryId)));
	return (DIRECTIVES / (performance.now() - startedMs)) * 1000;
}

/** A node that does nothing, until there is nothing more. */
async function work(plane: Plane, territoryId: string): Promise<void> {
	const node = { "x-nexus-territory-id": territoryId };
	for (;;) {
		const { directives: leases } = await plane.call(`${NODE}/polls`, { max_directives_to_claim: 5 }, node);
		if (leases.length === 0) return;
		for (const { directive_id: id, directive_token } of leases as Answer[]) {
			const headers = { ...node, authorization: `Bearer ${directive_token}` };
			await plane.call(`${NODE}/directives/${id}/started`, {}, headers);
			await plane.call(`${NODE}/directives/${id}/finished`, { status: "succeeded", exit_code: 0 }, headers);
		}
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
			const { directives: leases } = await plane.call(`${NODE}/polls`, {}, headers);
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

async function output(sqlite: Plane, postgres: Plane): Promise<Measurement> {
	const bytes = randomBytes(CHUNK_BYTES).toString("base64");
	const ingest = async (plane: Plane): Promise<number> => {
		plane.pass();
		const [facility] = await addFacilities(plane, 1);
		const [territoryId] = await addTerritories(plane, 1);
		const { accountId, userId } = plane.owner;
		const person = { "x-account-id": accountId, "x-user-id": userId };
		const limits = { max_output_bytes: CHUNKS * CHUNK_BYTES };
		const asked = { command: "yes", limits, priority: 100 };
		const { directive_id: id } = await plane.call(
			`/mothership/api/v1/facilities/${facility}/directives`,
			asked,
			person,
		);
		const node = { "x-nexus-territory-id": territoryId ?? "" };
		const [lease] = (await plane.call(`${NODE}/polls`, {}, node)).directives as Answer[];
		const headers = { ...node, authorization: `Bearer ${lease.directive_token}` };
		await plane.call(`${NODE}/directives/${id}/started`, {}, headers);
		const startedMs = performance.now();
		for (let seq = 0; seq < CHUNKS; seq++)
			await plane.call(`${NODE}/directives/${id}/log_chunks`, { stream: "stdout", seq, bytes }, headers);
		const rate = (CHUNKS * CHUNK_BYTES) / 2 ** 20 / ((performance.now() - startedMs) / 1000);
		await plane.call(`${NODE}/directives/${id}/finished`, { status: "succeeded", exit_code: 0 }, headers);
		return rate;
	};
	const contenders = [
		{ name: "SQLite", once: () => ingest(sqlite) },
		{ name: "PostgreSQL", once: () => ingest(postgres) },
	];
	const columns = await interleave(contenders, ROUNDS);
	return { title: "Output taken in, one node, 64 KiB a chunk", unit: "MiB/s", columns, base: "SQLite", goals: [] };
}

/** What this process holds more when so many idle WebSockets are open; the clients' own halves are in it too. */
async function sockets(plane: Plane): Promise<Measurement> {
	const port = await plane.control.listen({ host: "127.0.0.1", port: 0 });
	const territories = await addTerritories(plane, SOCKETS);
	const before = process.memoryUsage().rss;
	const opened: WebSocket[] = [];
	await inParallel(SOCKETS, 50, async (at) => {
		const url = `ws://127.0.0.1:${port}/cable?territory_id=${territories[at]}`;
		const socket = new WebSocket(url, "actioncable-v1-json");
		opened.push(socket);
		await once(socket, "open");
		const identifier = JSON.stringify({ channel: "Conduits::TerritoryChannel" });
		socket.send(JSON.stringify({ command: "subscribe", identifier }));
		await once(socket, "message");
	});
	const after = process.memoryUsage().rss;
	for (const socket of opened) socket.terminate();
	const columns = [
		{ name: "without", samples: [before / 2 ** 20] },
		{ name: `with ${SOCKETS} WebSockets`, samples: [after / 2 ** 20] },
	];
	return { title: "Memory of a control plane", unit: "MiB", columns, base: "without", goals: [] };
}
