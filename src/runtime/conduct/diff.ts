import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import type { RunId } from "../../core/index.ts";
import { DIFF_EXIT, type DiffPlan, type GitHead, planWorkspaceDiff, type TreeSnapshot } from "../../host/index.ts";
import type { PlanRequest } from "../driver.ts";
import { chooseDriver } from "../known-drivers.ts";
import { NO_LIMITS, type Workload } from "../schema.ts";
import type { WorkspaceChanges } from "./changes.ts";
import type { ConductParts } from "./parts.ts";
import { withRunDirectory } from "./run-directory.ts";

/** A larger diff is left out; the receipt still lists every path. */
const MAX_DIFF_BYTES = 8 * 2 ** 20;
const DIFF_TIMEOUT_MS = 30_000;

/**
 * Unified diff of what a run changed in a git workspace, or null when there is none to show. git reads a hostile folder, so it
 * runs in a sandbox of its own: workspace read-only, no network, nothing of its settings believed.
 */
export async function workspaceDiff(
	head: GitHead,
	before: TreeSnapshot,
	after: TreeSnapshot,
	changes: WorkspaceChanges,
	parts: ConductParts,
): Promise<Uint8Array | null> {
	if (changes.paths.length === 0) return null;
	const request = {
		head,
		before,
		after,
		changes: changes.paths,
		workspace: "/workspace",
		maxDiffBytes: MAX_DIFF_BYTES,
	};
	const planned = planWorkspaceDiff(request);
	return planned.kind === "planned" ? diffInSandbox(planned.plan, after.root, parts) : null;
}

function diffInSandbox(diff: DiffPlan, source: string, parts: ConductParts): Promise<Uint8Array | null> {
	return withRunDirectory(parts, async (runId, runDirectory) => {
		const choice = await chooseDriver(planRequestOf(diff, source, runId, runDirectory, parts), null, parts.measured);
		if (choice.kind === "unmet") return null;
		const run = await choice.driver.start(choice.plan, { environment: diff.environment }, parts.host);
		const timer = setTimeout(() => run.kill(), DIFF_TIMEOUT_MS);
		run.stdin.on("error", () => {});
		run.stdin.end(diff.stdin);
		run.stderr.resume();
		const [text, ending] = await Promise.all([buffer(run.stdout), run.ended]);
		clearTimeout(timer);
		return ending.exitCode === DIFF_EXIT.done && text.length > 0 ? text : null;
	});
}

/** No gate listens on its socket: whatever the diff tried to reach, nobody would carry it. */
function planRequestOf(
	diff: DiffPlan,
	source: string,
	runId: RunId,
	runDirectory: string,
	parts: ConductParts,
): PlanRequest {
	const workload: Workload = {
		schema: "vouch.workload/v1",
		root: { kind: "host" },
		argv: [...diff.argv],
		workingDirectory: diff.workingDirectory,
		environment: Object.keys(diff.environment).sort(),
		secrets: [],
		workspace: { source, access: "read-only", protected: [] },
		exposed: [...diff.readOnlyFolders],
		network: { mode: "none", allow: [], deny: [], http: [] },
		limits: { ...NO_LIMITS, processes: 64, timeoutMs: DIFF_TIMEOUT_MS },
		demands: ["filesystem-isolation", "network-deny-by-default"],
		isolation: null,
	};
	return {
		runId,
		workload,
		runDirectory,
		root: null,
		gateSocket: join(runDirectory, "gate.sock"),
		loopbackListeners: [],
		cacheDirectory: parts.directories.cache,
		acceptNoIsolation: "not-accepted",
		emulation: "not-accepted",
		machine: null,
		exposedFiles: [],
	};
}
