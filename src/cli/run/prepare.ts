import { statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative } from "node:path";
import { digestOfJson, type Failure, type Json, type RunId } from "../../core/index.ts";
import { type CompiledRules, compileRules, loopbackListenersOf } from "../../egress/index.ts";
import { applyPolicyDefaults, decide, type Policy, readPolicy } from "../../governance/index.ts";
import type { Approval, Decision } from "../../governance/schema.ts";
import {
	candidateDrivers,
	chooseDriver,
	findRoot,
	type Judged,
	machineDrivers,
	type PlannedRun,
	type PlanRequest,
	type PreparedRoot,
	type RootChoice,
	rootFor,
} from "../../runtime/index.ts";
import {
	type DriverName,
	type Guarantee,
	type Limits,
	NO_LIMITS,
	type Workload,
	workloadSchema,
} from "../../runtime/schema.ts";
import { imageDirectory } from "../directories.ts";
import { fail } from "../failures.ts";
import { approvalsFor } from "./approval.ts";
import type { Parts } from "./parts.ts";
import { findPolicies } from "./policies.ts";
import type { RunRequest } from "./request.ts";
import { windowSize } from "./terminal.ts";

/** A run that is decided, planned and approved, and has not begun. */
export interface PreparedRun extends PlannedRun, Judged {}

/** What a run gets that asked for nothing: bounds that ordinary work never meets and a bomb does. */
const BUILT_IN_LIMITS: Limits = { ...NO_LIMITS, processes: 4096, outputBytes: 256 * 2 ** 20 };

/** As many as the supervisor listens for inside a sandbox. */
const MAX_LOOPBACK_LISTENERS = 64;
const TOO_MANY_LOOPBACK = `They allow more than ${MAX_LOOPBACK_LISTENERS} addresses of this machine's loopback; allow fewer.`;

/** From request to plan: reads policies, fixes the workload, chooses a driver, decides, asks for approval. Starts nothing. */
export async function prepare(
	request: RunRequest,
	runId: RunId,
	runDirectory: string,
	parts: Parts,
): Promise<PreparedRun> {
	refuseOwnFolders(request, parts);
	const policies = await readPolicies(request);
	const root = await rootOf(request, parts);
	const rules = compiledRules(request);
	const loopbackListeners = loopbackListenersOf(rules);
	if (loopbackListeners.length > MAX_LOOPBACK_LISTENERS)
		throw fail("cli.rules-invalid", { problems: TOO_MANY_LOOPBACK });
	const gateSocket = join(runDirectory, "gate.sock");
	const size = request.tty === "asked" ? windowSize() : undefined;
	const planRequestFor: Asking["planRequestFor"] = (workload, prepared) => ({
		runId,
		workload,
		runDirectory,
		cacheDirectory: parts.directories.cache,
		root: prepared,
		...(size === undefined ? {} : { windowSize: size }),
		gateSocket,
		loopbackListeners,
		acceptNoIsolation: request.acceptNoIsolation,
		// Whoever names it, or asks for a machine, has asked for what it takes.
		emulation: request.driver === null ? "not-accepted" : "accepted",
		machine: request.machine,
		exposedFiles: request.exposed.filter((path) => statSync(path).isFile()),
	});
	const chosen = await choose({ asked: workloadOf(request, policies), request, root, policies, planRequestFor }, parts);
	const approvals = await settle(chosen.decision, chosen.workload, runId, parts);
	const workspaceFolder = request.workspace?.source ?? null;
	return { runId, ...chosen, approvals, rules, gateSocket, workspaceFolder };
}

type Chosen = Pick<PreparedRun, "driver" | "plan" | "workload" | "decision">;

interface Asking {
	readonly asked: Omit<Workload, "root">;
	readonly request: RunRequest;
	readonly root: RootChoice | null;
	readonly policies: readonly Policy[];
	readonly planRequestFor: (workload: Workload, root: PreparedRoot | null) => PlanRequest;
}

/**
 * The strongest driver that keeps what is demanded and that the policies don't deny. The driver is part of what is decided and
 * approved, so each candidate's workload names it, and the root in the shape that it takes. When every one is denied, the
 * strongest one's denial is what counts.
 */
async function choose(asking: Asking, parts: Parts): Promise<Chosen> {
	const { request, policies, planRequestFor } = asking;
	const unmet: Failure[] = [];
	let denied: Chosen | undefined;
	for (const name of candidatesFor(request, asking.root)) {
		const root = await preparedFor(name, asking.root, parts);
		const reference = request.image ?? "";
		const workload = checked({
			...asking.asked,
			root: root === null ? { kind: "host" } : { kind: "image", reference, digest: root.digest },
			isolation: name,
		});
		const choice = await chooseDriver(planRequestFor(workload, root), name, parts.measured);
		if (choice.kind === "unmet") {
			unmet.push(...choice.reasons);
			continue;
		}
		const chosen = { driver: choice.driver, plan: choice.plan, workload, decision: decide(workload, policies) };
		if (chosen.decision.verdict !== "deny") return chosen;
		denied ??= chosen;
	}
	if (denied !== undefined) return denied;
	throw fail("cli.no-driver", { problems: sentences(unmet) });
}

/** Also without an image: then a machine says that it needs one. */
function candidatesFor({ driver, demands }: RunRequest, root: RootChoice | null): readonly DriverName[] {
	return driver === "vm" ? machineDrivers : candidateDrivers({ isolation: driver, demands: [...demands] }, root);
}

async function preparedFor(name: DriverName, root: RootChoice | null, parts: Parts): Promise<PreparedRoot | null> {
	const prepared = root === null ? null : await rootFor(name, root);
	parts.offerImage(prepared?.kind === "image" ? prepared : undefined);
	return prepared;
}

/** Keys, journal and caches of Vouch must not be shown to what it runs: it could sign, forget and forge. */
function refuseOwnFolders(request: RunRequest, { directories }: Parts): void {
	const shown = [...(request.workspace === null ? [] : [request.workspace.source]), ...request.exposed];
	for (const path of shown) {
		const own = [directories.data, directories.cache].find(
			(folder) => isWithin(folder, path) || isWithin(path, folder),
		);
		if (own === undefined) continue;
		throw fail("cli.workspace-unusable", { path, problem: `it would show the run Vouch's own files in ${own}` });
	}
}

function isWithin(path: string, folder: string): boolean {
	const way = relative(folder, path);
	return !way.startsWith("..") && !isAbsolute(way);
}

async function readPolicies(request: RunRequest): Promise<readonly Policy[]> {
	const found = findPolicies(request.workspace?.source ?? process.cwd(), request.policyFiles);
	const readings = found.map(async ({ source, text }) => {
		const read = await readPolicy(text, source);
		if (read.kind === "policy") return read.policy;
		throw fail("cli.policy-unreadable", { path: source, problem: sentences(read.reasons) });
	});
	return Promise.all(readings);
}

async function rootOf(request: RunRequest, parts: Parts): Promise<RootChoice | null> {
	if (request.image === null) return null;
	const { cache: cacheDirectory } = parts.directories;
	const progress = (line: string): void => {
		if (request.show === "report") process.stderr.write(`vouch: ${line}\n`);
	};
	const options = { cacheDirectory, imageDirectory: imageDirectory(parts.directories), host: parts.host, progress };
	return findRoot(request.image, options);
}

function compiledRules(request: RunRequest): CompiledRules {
	const compiled = compileRules(request.network);
	if (compiled.kind === "compiled") return compiled.rules;
	throw fail("cli.rules-invalid", { problems: sentences(compiled.reasons) });
}

function workloadOf(request: RunRequest, policies: readonly Policy[]): Omit<Workload, "root"> {
	const { workspace } = request;
	return {
		schema: "vouch.workload/v1",
		argv: [...request.argv],
		workingDirectory: request.workingDirectory,
		...(request.tty === "asked" ? { tty: true as const } : {}),
		environment: Object.keys(request.environment).sort(),
		secrets: [...request.secrets].sort(),
		workspace: workspace === null ? null : { ...workspace, protected: protectedPaths(workspace.source, policies) },
		exposed: [...request.exposed],
		...(request.artifacts.length === 0 ? {} : { artifacts: [...request.artifacts] }),
		network: request.network,
		limits: withDefaults(applyPolicyDefaults(request.limits, policies)),
		demands: [
			...new Set<Guarantee>([...request.demands, ...(request.driver === "vm" ? ["separate-kernel" as const] : [])]),
		],
		isolation: null,
	};
}

/** Bounds that no flag checks by itself, such as how many words and rules there may be. */
function checked(workload: Workload): Workload {
	const parsed = workloadSchema.safeParse(workload);
	if (parsed.success) return parsed.data;
	const { path, message } = parsed.error.issues[0] ?? { path: [], message: "it does not fit" };
	throw fail("cli.usage", {
		problem: `Describing the run: its ${path.join(".")} is not possible (${message}). Give less of it.`,
	});
}

/** A run must not be able to loosen the policy of the next one. Only entries directly in the workspace can be kept so. */
function protectedPaths(workspace: string, policies: readonly Policy[]): string[] {
	return policies.filter(({ source }) => dirname(source) === workspace).map(({ source }) => basename(source));
}

function withDefaults(limits: Limits): Limits {
	const given = Object.entries(limits).filter(([, value]) => value !== null);
	return { ...BUILT_IN_LIMITS, ...Object.fromEntries(given) };
}

/** The journal remembers what was refused and who approved what; a decision that simply allows stands in the receipt. */
async function settle(
	decision: Decision,
	workload: Workload,
	runId: RunId,
	parts: Parts,
): Promise<readonly Approval[]> {
	if (decision.verdict === "allow") return [];
	const time = new Date(parts.clock.nowMs()).toISOString();
	const { verdict, workloadDigest } = decision;
	const digest = digestOfJson(decision as Json);
	const journal = await parts.journal();
	journal.append({ kind: "decision", digest, time, runId, verdict, workloadDigest });
	const approvals = await approvalsFor(decision, workload, parts.clock);
	for (const approval of approvals) {
		journal.append({ kind: "approval", digest: digestOfJson(approval), time: approval.time, runId, approval });
	}
	return approvals;
}

/** Each once: several drivers may refuse for the same reason. */
function sentences(reasons: readonly { readonly sentence: string }[]): string {
	return [...new Set(reasons.map(({ sentence }) => sentence))].join(" ");
}
