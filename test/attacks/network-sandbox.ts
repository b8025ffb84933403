/** A real gate and a real sandbox, wired as the command line wires them, with a resolver of the test's own. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { newId, type RunId } from "../../src/core/index.ts";
import { compileRules, type GateLimits, loopbackListenersOf, openGate } from "../../src/egress/index.ts";
import type { LedgerEntry, LedgerSummary, NetworkRules } from "../../src/egress/schema.ts";
import { merkleRoot } from "../../src/evidence/index.ts";
import { type Ending, realHost, socketOwner } from "../../src/host/index.ts";
import { type Driver, drivers, type PlanRequest, type Run } from "../../src/runtime/index.ts";
import { TEST_CONTEXT } from "../conformance/context.ts";
import { requestOf, rootFor } from "../conformance/sandbox.ts";

export interface GatedTrial {
	readonly rules: NetworkRules;
	readonly names: Readonly<Record<string, readonly (readonly string[])[]>>;
	readonly argv: readonly string[];
	readonly workspace: string;
	readonly limits?: Partial<GateLimits>;
	/** Called once it runs; the trial goes on when it returns. */
	readonly during?: (run: Run, runDirectory: string) => Promise<void>;
}

export interface GatedResult {
	readonly ending: Ending;
	readonly stdout: string;
	readonly stderr: string;
	readonly summary: LedgerSummary;
	readonly entries: readonly LedgerEntry[];
	readonly lookups: readonly string[];
}

/** The compiled helper at `path`, or why there is none. */
export function compileNetworkAttack(path: string): string | undefined {
	const sources = ["network-attack.c", "network-attack-kernel.c"].map((name) =>
		fileURLToPath(new URL(name, import.meta.url)),
	);
	const compiled = spawnSync("gcc", ["-static", "-O1", "-o", path, ...sources], { encoding: "utf8" });
	if (compiled.error !== undefined) return "gcc is not installed";
	return compiled.status === 0 ? undefined : `gcc: ${compiled.stderr.slice(0, 300)}`;
}

/** Attacks that wait for the gate to lose patience must not take minutes. */
export const IMPATIENT: Partial<GateLimits> = {
	firstFlightMs: 900,
	headMs: 900,
	protocolByteMs: 1_500,
	lingerMs: 100,
	connectMs: 1_500,
	idleMs: 4_000,
};

const DEADLINE_MS = 240_000;

export async function tryGated(driver: Driver, trial: GatedTrial): Promise<GatedResult> {
	const compiled = compileRules(trial.rules);
	if (compiled.kind === "invalid") throw new Error(compiled.reasons.map(({ sentence }) => sentence).join(" "));
	const host = realHost();
	const runDirectory = mkdtempSync(join(tmpdir(), "vouch-net-"));
	const lookups: string[] = [];
	let run: Run | undefined;
	const gate = await openGate({
		rules: compiled.rules,
		socketPath: join(runDirectory, "gate.sock"),
		resolver: { addressesOf: async (name) => answerOf(trial.names, name, lookups) },
		limits: trial.limits ?? IMPATIENT,
		processOf: async ({ address, port }) => (run === undefined ? null : socketOwner(run.programPid, address, port)),
	});
	let counters: Ending["counters"] = null;
	try {
		const root = await rootFor(driver);
		const request = requestFor({ ...trial, root }, loopbackListenersOf(compiled.rules), runDirectory);
		const planned = driver.plan(request, await driver.probe(host, TEST_CONTEXT));
		if (planned.kind === "unmet") throw new Error(planned.reasons.map(({ sentence }) => sentence).join(" "));
		const started = await driver.start(planned.plan, { environment: {} }, host);
		run = started;
		started.onEvent((event) => gate.noteSupervisorEvent(event));
		started.stdin.on("error", () => undefined).end();
		const deadline = setTimeout(() => started.kill(), DEADLINE_MS);
		const reading = Promise.all([text(started.stdout), text(started.stderr)]);
		await trial.during?.(started, runDirectory);
		const ending = await started.ended;
		clearTimeout(deadline);
		counters = ending.counters;
		const [stdout, stderr] = await reading;
		return { ending, stdout, stderr, lookups, ...(await gate.close({ counters, merkleRoot })) };
	} finally {
		run?.kill();
		await gate.close({ counters, merkleRoot });
		rmSync(runDirectory, { recursive: true, force: true });
	}
}

function requestFor(
	{ argv, workspace, rules, root }: GatedTrial & { readonly root: PlanRequest["root"] },
	loopbackListeners: PlanRequest["loopbackListeners"],
	runDirectory: string,
): PlanRequest {
	const trial = { argv, root, workspace: { source: workspace, access: "read-write" } } as const;
	const request = requestOf(trial, newId<RunId>(Date.now()), runDirectory);
	return { ...request, workload: { ...request.workload, network: rules }, loopbackListeners };
}

function answerOf(names: GatedTrial["names"], name: string, lookups: string[]): readonly string[] {
	const answers = names[name] ?? [];
	const asked = lookups.filter((earlier) => earlier === name).length;
	lookups.push(name);
	return answers[Math.min(asked, answers.length - 1)] ?? [];
}

export function driverNamed(name: string): Driver {
	const found = drivers.find((driver) => driver.name === name);
	if (found === undefined) throw new Error(`no driver is called ${name}`);
	return found;
}
