import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newId, type RunId } from "../src/core/index.ts";
import { compileRules, openGate } from "../src/egress/index.ts";
import { merkleRoot } from "../src/evidence/index.ts";
import { realHost } from "../src/host/index.ts";
import { drivers, type PlanRequest } from "../src/runtime/index.ts";
import { NO_LIMITS, type Workload } from "../src/runtime/schema.ts";

/** What one run costs inside a process that is already up, by part. Milliseconds. */
export interface LaunchParts {
	readonly probe: number;
	readonly plan: number;
	readonly openGate: number;
	readonly supervise: number;
	readonly closeGate: number;
}

const NETWORK = { mode: "none", allow: [], deny: [], http: [] } as const;

const WORKLOAD: Workload = {
	schema: "vouch.workload/v1",
	root: { kind: "host" },
	argv: ["/bin/true"],
	workingDirectory: "/",
	environment: [],
	secrets: [],
	workspace: null,
	exposed: [],
	network: { mode: "none", allow: [], deny: [], http: [] },
	limits: { ...NO_LIMITS, processes: 4096 },
	demands: [],
	isolation: "bwrap",
};

/** From measured machine to closed ledger, with the real supervisor, namespaces and gate; no receipt. */
export async function launchInProcess(directory: string): Promise<LaunchParts> {
	const host = realHost();
	const driver = drivers.find(({ name }) => name === "bwrap");
	const rules = compileRules({ ...NETWORK, allow: [], deny: [], http: [] });
	if (driver === undefined || rules.kind !== "compiled") throw new Error("there is no bwrap driver");
	const runId = newId<RunId>(Date.now());
	const runDirectory = join(directory, runId.slice(-12));
	mkdirSync(runDirectory, { mode: 0o700 });
	const request: PlanRequest = {
		runId,
		workload: WORKLOAD,
		runDirectory,
		root: null,
		gateSocket: join(runDirectory, "gate.sock"),
		loopbackListeners: [],
		cacheDirectory: directory,
		acceptNoIsolation: "not-accepted",
		emulation: "not-accepted",
		machine: null,
		exposedFiles: [],
	};
	const laps = new Laps();
	const facts = await driver.probe(host, { cacheDirectory: directory, image: async () => undefined });
	const probe = laps.next();
	const planned = driver.plan(request, facts);
	if (planned.kind === "unmet") throw new Error(planned.reasons.map(({ sentence }) => sentence).join(" "));
	const plan = laps.next();
	const gate = await openGate({ rules: rules.rules, socketPath: request.gateSocket });
	const opened = laps.next();
	const run = await driver.start(planned.plan, { environment: {} }, host);
	run.onEvent((event) => gate.noteSupervisorEvent(event));
	run.stdin.end();
	run.stdout.resume();
	run.stderr.resume();
	const ending = await run.ended;
	const supervise = laps.next();
	if (ending.exitCode !== 0) throw new Error(`/bin/true ended with ${JSON.stringify(ending)}`);
	await gate.close({ counters: ending.counters, merkleRoot });
	return { probe, plan, openGate: opened, supervise, closeGate: laps.next() };
}

class Laps {
	#lastMs = performance.now();
	next(): number {
		const nowMs = performance.now();
		const lapMs = nowMs - this.#lastMs;
		this.#lastMs = nowMs;
		return lapMs;
	}
}

/** What the bench reads of a bwrap launch plan, as a receipt holds it. */
interface BwrapPlanRecord {
	readonly supervision: { readonly argv: readonly [string, ...string[]] };
	readonly bwrap: {
		readonly arguments: readonly string[];
		readonly descriptors: {
			readonly program: { readonly fd: number; readonly path: string } | null;
			readonly files: readonly { readonly fd: number; readonly text: string }[];
		};
	};
}

/**
 * bwrap alone with the namespaces and mounts of the run that a receipt tells of, and an empty network namespace. Without
 * its system call filter, whose bytes no receipt holds, and without waiting for the network.
 */
export function rawBwrap(receiptFile: string, directory: string): () => Promise<number> {
	const receipt: { envelope: { payload: string } } = JSON.parse(readFileSync(receiptFile, "utf8"));
	const statement: { predicate: { launchPlan: BwrapPlanRecord } } = JSON.parse(
		Buffer.from(receipt.envelope.payload, "base64").toString("utf8"),
	);
	const { supervision, bwrap } = statement.predicate.launchPlan;
	// A program that the user owns is started from a sealed copy; raw, it is started as it is.
	const program = bwrap.descriptors.program?.path ?? supervision.argv[0];
	const isOurs = (word: string | undefined): boolean => word === "--seccomp" || word === "--block-fd";
	const planned = bwrap.arguments.filter((word, index) => !isOurs(word) && !isOurs(bwrap.arguments[index - 1]));
	const files = bwrap.descriptors.files.map(({ fd, text }) => {
		const path = join(directory, `descriptor-${fd}`);
		writeFileSync(path, text);
		return { fd, path };
	});
	const highest = Math.max(2, ...files.map(({ fd }) => fd));
	return async () => {
		const stdio: ("ignore" | number)[] = Array.from({ length: highest + 1 }, () => "ignore");
		for (const { fd, path } of files) stdio[fd] = openSync(path, "r");
		const startMs = performance.now();
		const child = spawn(program, ["--unshare-net", ...planned, "--", "/bin/true"], { stdio, env: {} });
		const { promise, resolve, reject } = Promise.withResolvers<number | null>();
		child.once("error", reject).once("close", resolve);
		const code = await promise;
		const durationMs = performance.now() - startMs;
		for (const fd of stdio) if (typeof fd === "number") closeSync(fd);
		if (code !== 0) throw new Error(`bwrap with the mounts of a run ended with ${code}`);
		return durationMs;
	};
}
