import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { newId, type RunId } from "../../src/core/index.ts";
import { type Ending, realHost } from "../../src/host/index.ts";
import type { Driver, LaunchPlan, PlanRequest, ProbeContext, Run } from "../../src/runtime/index.ts";
import { type Limits, NO_LIMITS } from "../../src/runtime/schema.ts";
import { CACHE, TEST_CONTEXT } from "./context.ts";

export interface Trial {
	readonly argv: readonly string[];
	readonly workspace?: { readonly source: string; readonly access: "read-write" | "read-only" } | null;
	/** Paths in the workspace that stay read-only. */
	readonly protected?: readonly string[];
	readonly limits?: Partial<Limits>;
	readonly exposed?: readonly string[];
	readonly environment?: Readonly<Record<string, string>>;
	/** Given as files, by name. */
	readonly secrets?: Readonly<Record<string, string>>;
	readonly workingDirectory?: string;
	/** It has a terminal, which is this large when it begins. */
	readonly windowSize?: PlanRequest["windowSize"];
	/** Written and ended; `from-during` leaves that to `during`. */
	readonly input?: string | Uint8Array;
	/** Unread: nobody takes what the command writes until it has ended. */
	readonly output?: "kept" | "unread";
	readonly root?: PlanRequest["root"];
	readonly machine?: PlanRequest["machine"];
	/** Instead of the tests' own, where templates and pools are found. */
	readonly cacheDirectory?: string;
	/** What a driver that starts held waits for. */
	readonly go?: Promise<unknown>;
	/** Called once it runs; the trial goes on when it returns. */
	readonly during?: (run: Run, plan: LaunchPlan, runDirectory: string, printed: () => string) => Promise<void>;
}

export interface TrialResult {
	readonly ending: Ending;
	readonly stdout: Buffer;
	readonly stderr: string;
	readonly plan: LaunchPlan;
	readonly runDirectory: string;
}

/** 128 + N for a signal, whoever says it: bwrap and podman turn it into an exit code, the supervisor does not. */
export function exitStatus(ending: Ending): number {
	return ending.exitCode ?? 128;
}

const TRIAL_FOLDER = "vouch-test-";

/**
 * Removes the folder of a trial whose process was killed. Nothing else: a path that came out empty once removed the repository.
 */
export function removeTrialFolder(path: string): void {
	if (dirname(path) !== tmpdir() || !path.startsWith(join(tmpdir(), TRIAL_FOLDER))) {
		throw new Error(`${JSON.stringify(path)} is no folder of a trial: it is left alone`);
	}
	rmSync(path, { recursive: true, force: true });
}

/** Nothing may hang: a run that takes longer is killed, and its test fails by what it did not do. */
const DEADLINE_MS = 120_000;

/** One run under one driver, with a gate that refuses by closing, in a folder that is gone afterwards. */
export async function tryOut(driver: Driver, trial: Trial): Promise<TrialResult> {
	const host = realHost();
	const runId = newId<RunId>(Date.now());
	const runDirectory = mkdtempSync(join(tmpdir(), TRIAL_FOLDER));
	const gate = await closedGate(join(runDirectory, "gate.sock"));
	try {
		const root = trial.root ?? (await rootFor(driver));
		const request = { ...requestOf({ ...trial, root }, runId, runDirectory), ...keepSecrets(trial, runDirectory) };
		const planned = driver.plan(request, await driver.probe(host, contextOf(trial)));
		if (planned.kind === "unmet") throw new Error(planned.reasons.map(({ sentence }) => sentence).join(" "));
		const go = trial.go === undefined ? {} : { go: trial.go };
		const run = await driver.start(planned.plan, { environment: trial.environment ?? {}, ...go }, host);
		const deadline = setTimeout(() => run.kill(), DEADLINE_MS);
		const chunks: Uint8Array[] = [];
		const read = () => Promise.all([bytesOf(run.stdout, chunks), text(run.stderr)]);
		const early = trial.output === "unread" ? undefined : read();
		run.stdin.on("error", () => {});
		if (trial.input !== "from-during") run.stdin.end(trial.input);
		await trial.during?.(run, planned.plan, runDirectory, () => String(Buffer.concat(chunks)));
		const late = early ?? read();
		const ending = await run.ended;
		const [stdout, stderr] = await late;
		clearTimeout(deadline);
		return { ending, stdout, stderr, plan: planned.plan, runDirectory };
	} finally {
		gate.close();
		rmSync(runDirectory, { recursive: true, force: true });
	}
}

/** A driver that boots an image has one where others have this machine's own files. */
export async function rootFor(driver: Driver): Promise<PlanRequest["root"]> {
	return driver.roots.includes("host") ? null : ((await TEST_CONTEXT.image()) ?? null);
}

export function requestOf(trial: Trial, runId: RunId, runDirectory: string): PlanRequest {
	const root = trial.root ?? null;
	return {
		runId,
		workload: {
			schema: "vouch.workload/v1",
			root: root === null ? { kind: "host" } : { kind: "image", reference: "test", digest: root.digest },
			argv: [...trial.argv],
			workingDirectory: trial.workingDirectory ?? "/workspace",
			environment: Object.keys(trial.environment ?? {}).sort(),
			secrets: [],
			workspace: trial.workspace ? { ...trial.workspace, protected: [...(trial.protected ?? [])] } : null,
			exposed: [...(trial.exposed ?? [])],
			network: { mode: "none", allow: [], deny: [], http: [] },
			limits: { ...NO_LIMITS, ...trial.limits },
			demands: [],
			isolation: null,
			...(trial.windowSize === undefined ? {} : { tty: true as const }),
			...(trial.secrets === undefined ? {} : { secretFiles: Object.keys(trial.secrets).sort() }),
		},
		runDirectory,
		...(trial.windowSize === undefined ? {} : { windowSize: trial.windowSize }),
		root,
		gateSocket: join(runDirectory, "gate.sock"),
		loopbackListeners: [],
		cacheDirectory: trial.cacheDirectory ?? CACHE,
		acceptNoIsolation: "accepted",
		emulation: "accepted",
		machine: trial.machine ?? null,
		exposedFiles: (trial.exposed ?? []).filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile()),
	};
}

function keepSecrets({ secrets }: Trial, runDirectory: string): Pick<PlanRequest, "secretsFolder"> {
	if (secrets === undefined) return {};
	const secretsFolder = join(runDirectory, "secrets");
	mkdirSync(secretsFolder);
	for (const [name, value] of Object.entries(secrets)) writeFileSync(join(secretsFolder, name), value, { mode: 0o444 });
	return { secretsFolder };
}

function contextOf({ cacheDirectory }: Trial): ProbeContext {
	return cacheDirectory === undefined ? TEST_CONTEXT : { ...TEST_CONTEXT, cacheDirectory };
}

async function closedGate(path: string): Promise<Server> {
	const server = createServer((socket) => socket.destroy());
	await new Promise<void>((resolve) => server.listen(path, resolve));
	return server;
}

async function bytesOf(stream: AsyncIterable<Uint8Array>, chunks: Uint8Array[]): Promise<Buffer> {
	for await (const chunk of stream) chunks.push(chunk);
	return Buffer.concat(chunks);
}
