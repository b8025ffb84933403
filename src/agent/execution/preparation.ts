import { merkleRoot } from "../../evidence/index.ts";
import { type Cancels, conduct, type Finished, recordOf, withRunDirectory } from "../../runtime/index.ts";
import { NO_LIMITS, type Workload } from "../../runtime/schema.ts";
import { agentFailures } from "../failures.ts";
import type { LogScreens } from "./log-screen.ts";
import type { EngineParts } from "./parts.ts";
import { plannedHere } from "./placement.ts";
import { type Repository, readRepository } from "./repository.ts";

const CLONE_TIMEOUT_MS = 10 * 60_000;

/** What git must not do when nobody is there to ask (conduits section 7.8). */
const GIT_ENVIRONMENT: Readonly<Record<string, string>> = {
	GIT_ALLOW_PROTOCOL: "http:https:ssh:git",
	GIT_ASKPASS: "true",
	GIT_PROTOCOL_FROM_USER: "0",
	GIT_TERMINAL_PROMPT: "0",
};

/** A repository, and the branch or tag of it; null for its default. */
export interface Origin {
	readonly url: string;
	readonly ref: string | null;
}

/** Nothing that git could take for a flag. */
const REF = /^(?!.*\.\.)[A-Za-z0-9_][\w./+-]{0,254}$/;

/**
 * Fills a new facility from its repository. git runs in a sandbox like any command, and its gate lets it reach the repository's own
 * host and port alone. Throws `not-prepared`.
 */
export async function cloneInto(
	folder: string,
	{ url, ref }: Origin,
	screens: LogScreens,
	cancels: Cancels,
	parts: EngineParts,
): Promise<void> {
	if (ref !== null && !REF.test(ref))
		throw agentFailures.fail("not-prepared", { problem: "its branch has no such name." });
	const repository = readRepository(url);
	if (repository === undefined)
		throw agentFailures.fail("not-prepared", { problem: "its repository is not an http, https, ssh or git URL." });
	await screens.note(`[prepare] cloning ${repository.shown}`);
	const { observed, ledger } = await clone(repository, ref, folder, screens, cancels, parts);
	const { allowed, refused, bytesDown } = ledger.summary;
	parts.log.info(
		{ repository: repository.shown, allowed, refused, bytesDown },
		"a facility was cloned through the gate",
	);
	if (observed.stopped === null && observed.ending.exitCode === 0) return;
	const why = observed.stopped === null ? "git failed; its own words are above." : `it was ended: ${observed.stopped}.`;
	await screens.note(`[prepare] failed: ${why}`);
	throw agentFailures.fail("not-prepared", { problem: `cloning ${repository.shown}: ${why}` });
}

function clone(
	{ url, destination }: Repository,
	ref: string | null,
	folder: string,
	screens: LogScreens,
	cancels: Cancels,
	parts: EngineParts,
): Promise<Finished> {
	return withRunDirectory(parts, async (runId, runDirectory) => {
		const place = { runId, runDirectory, folder, root: null, hostProfile: "refused" } as const;
		const planned = await plannedHere(cloning(url, ref, folder, destination), place, parts);
		const files = parts.records.create(recordOf(planned, parts.clock));
		const ties = {
			environment: GIT_ENVIRONMENT,
			screens,
			cancels,
			beyondOutputLimit: { overflowBytes: 0 },
			upstreamProxy: parts.upstreamProxy,
			merkleRoot,
			started: () => {},
		} as const;
		return conduct(planned, files, ties, parts).finally(() => parts.records.forget(runId));
	});
}

function cloning(url: string, ref: string | null, folder: string, destination: string): Workload {
	const branch = ref === null ? [] : ["--branch", ref];
	return {
		schema: "vouch.workload/v1",
		root: { kind: "host" },
		argv: ["git", "clone", "--depth", "1", ...branch, "--", url, "."],
		workingDirectory: "/workspace",
		environment: Object.keys(GIT_ENVIRONMENT).sort(),
		secrets: [],
		workspace: { source: folder, access: "read-write", protected: [] },
		exposed: [],
		network: { mode: "allowlist", allow: [destination], deny: [], http: [] },
		limits: { ...NO_LIMITS, processes: 256, timeoutMs: CLONE_TIMEOUT_MS },
		demands: ["filesystem-isolation", "network-deny-by-default"],
		isolation: null,
	};
}
