import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { openPath, type Path, type Service, startOrigin, startSquid, startTinyproxy } from "./gate-rivals.ts";
import { type Column, median, runProgram } from "./measure.ts";
import { type BenchResult, goal, type Measurement, medianOf } from "./report.ts";
import { node, packagedVouch, privateEnvironment } from "./vouch.ts";

const ROUNDS = 5;
const TINYPROXY_PORT = 18_881;
const SQUID_PORT = 18_882;

/** What the client prints. */
interface Found {
	readonly firstByteMs: readonly number[];
	readonly requestsPerSecond: number;
	readonly downloadMiBPerSecond: number;
	readonly uploadMiBPerSecond: number;
}

type Client = readonly [name: string, argv: readonly [string, ...string[]]];

/**
 * The same client through Vouch's gate, tinyproxy and squid. Each time it sits in a network namespace behind a veth pair,
 * and the proxy outside dials a server on loopback; `direct` is that namespace without a proxy.
 */
export async function benchGate(directory: string): Promise<BenchResult> {
	const started: { stop(): Promise<void> }[] = [];
	const path = await openPath();
	started.push({ stop: () => path.close() });
	try {
		const keep = (service: Service) => {
			started.push(service);
			return service;
		};
		const origin = keep(await startOrigin(["127.0.0.1", path.outside]));
		keep(await startTinyproxy(directory, path.outside, TINYPROXY_PORT));
		keep(await startSquid(directory, path.outside, SQUID_PORT));
		return resultOf(await measureClients(await clientsOf(directory, path, origin.ports), directory));
	} finally {
		for (const { stop } of started.reverse()) await stop();
	}
}

async function clientsOf(directory: string, path: Path, ports: readonly number[]): Promise<readonly Client[]> {
	const workspace = join(directory, "workspace");
	mkdirSync(workspace);
	copyFileSync(join(import.meta.dirname, "gate-client.ts"), join(workspace, "gate-client.ts"));
	const outside = [...path.enter, node, join(workspace, "gate-client.ts")] as [string, ...string[]];
	const target = `127.0.0.1:${ports[0]}`;
	const inside = [node, "/workspace/gate-client.ts", target, "10.0.2.1:9080"];
	const expose = ["--expose", dirname(node), "--workspace", workspace];
	return [
		["direct", [...outside, `${path.outside}:${ports[1]}`]],
		[
			"vouch",
			[await packagedVouch(directory), "run", "--quiet", "--no-stdin", ...expose, "--allow", target, "--", ...inside],
		],
		["tinyproxy", [...outside, target, `${path.outside}:${TINYPROXY_PORT}`]],
		["squid", [...outside, target, `${path.outside}:${SQUID_PORT}`]],
	];
}

async function measureClients(
	clients: readonly Client[],
	directory: string,
): Promise<ReadonlyMap<string, readonly Found[]>> {
	const found = new Map<string, Found[]>(clients.map(([name]) => [name, []]));
	for (let round = 0; round < ROUNDS; round += 1) {
		for (const [name, argv] of clients) {
			const { stdout } = await runProgram(argv, { environment: privateEnvironment(directory) });
			found.get(name)?.push(JSON.parse(stdout));
		}
	}
	return found;
}

function resultOf(found: ReadonlyMap<string, readonly Found[]>): BenchResult {
	const columnsOf = (pick: (one: Found) => number): readonly Column[] =>
		[...found].map(([name, all]) => ({ name, samples: all.map(pick) }));
	const download = columnsOf((one) => one.downloadMiBPerSecond);
	const upload = columnsOf((one) => one.uploadMiBPerSecond);
	const requests = columnsOf((one) => one.requestsPerSecond);
	const firstByte = [...found].map(([name, all]) => ({ name, samples: all.flatMap((one) => one.firstByteMs) }));
	return {
		name: "gate",
		measurements: [
			throughput("Download through CONNECT, one stream of 256 MiB", download),
			throughput("Upload through CONNECT, one stream of 128 MiB", upload),
			{
				title: "Plain HTTP requests, a connection each, 16 at once",
				unit: "requests/s",
				columns: requests,
				base: "tinyproxy",
				goals: [],
			},
			latency(firstByte),
		],
		notes: [
			"Client and server are Node programs on the same cores as the proxy and take their share of them alike.",
			"Every way in leads over one veth pair; Vouch's adds its supervisor and a Unix socket, and writes the ledger.",
		],
	};
}

function throughput(title: string, columns: readonly Column[]): Measurement {
	const ratio = medianOf(columns, "vouch") / medianOf(columns, "tinyproxy");
	const goals = [goal("ahead of tinyproxy", `${ratio.toFixed(2)} x`, () => ratio > 1)];
	return { title, unit: "MiB/s", columns, base: "tinyproxy", goals };
}

function latency(columns: readonly Column[]): Measurement {
	const added = medianOf(columns, "vouch") - medianOf(columns, "direct");
	return {
		title: "From dialling to the first byte of the answer, through CONNECT",
		unit: "ms",
		columns: columns.map(({ name, samples }) => ({ name, samples })),
		base: "direct",
		goals: [goal("adds at most 1 ms to a connection", `${added.toFixed(3)} ms`, () => median([added]) <= 1)],
	};
}
