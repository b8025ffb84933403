import type { LedgerSummary } from "../../egress/schema.ts";
import { merkleRoot } from "../../evidence/index.ts";
import type { Preparation } from "../../evidence/schema.ts";
import { readGitHead } from "../../host/index.ts";
import { type Cancels, conduct, type Finished, recordOf, withRunDirectory } from "../../runtime/index.ts";
import { NO_LIMITS, type Workload } from "../../runtime/schema.ts";
import { agentFailures } from "../failures.ts";
import type { LogScreens } from "./log-screen.ts";
import type { EngineParts } from "./parts.ts";
import { plannedHere } from "./placement.ts";
import { type Repository, readRepository } from "./repository.ts";
import { giveSecrets } from "./secrets.ts";

const CLONE_TIMEOUT_MS = 10 * 60_000;

/** What git must not do when nobody is there to ask (conduits section 7.8). */
const GIT_ENVIRONMENT: Readonly<Record<string, string>> = {
	GIT_ALLOW_PROTOCOL: "http:https:ssh:git",
	GIT_ASKPASS: "true",
	GIT_PROTOCOL_FROM_USER: "0",
	GIT_TERMINAL_PROMPT: "0",
};

/** Names of two secrets of the node. */
export interface DeployKey {
	/** The private key. */
	readonly key: string;
	/** The keys of hosts that it is shown to, as known_hosts has them (sshd(8)): no other host is spoken to. */
	readonly knownHosts: string;
}

/** Nothing of this machine's own ssh settings, keys or known hosts, and nobody to ask. */
function sshCommand({ key, knownHosts }: DeployKey): string {
	const options = {
		BatchMode: "yes",
		GlobalKnownHostsFile: "/dev/null",
		IdentitiesOnly: "yes",
		IdentityFile: `/run/secrets/${key}`,
		StrictHostKeyChecking: "yes",
		UserKnownHostsFile: `/run/secrets/${knownHosts}`,
	};
	return ["ssh -F /dev/null", ...Object.entries(options).map(([name, value]) => `-o ${name}=${value}`)].join(" ");
}

/** A repository, and the branch or tag of it; null for its default. */
export interface Origin {
	readonly url: string;
	readonly ref: string | null;
}

/** Nothing that git could take for a flag. */
const REF = /^(?!.*\.\.)[A-Za-z0-9_][\w./+-]{0,254}$/;

/**
 * Fills a new facility from its repository. git runs in a sandbox like any command, and its gate lets it reach the repository's own
 * host and port alone. Answers what the receipt of whoever it is for says of it. Throws `not-prepared`.
 */
export async function cloneInto(
	folder: string,
	{ url, ref }: Origin,
	screens: LogScreens,
	cancels: Cancels,
	parts: EngineParts,
): Promise<Preparation> {
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
	const why = whyFailed(observed, ledger.summary);
	if (why === null) {
		const head = readGitHead(folder);
		const commit = head.kind === "git" ? head.commit : null;
		return { repository: repository.shown, ref, commit, ledger: ledger.summary, ledgerEntries: ledger.entries };
	}
	await screens.note(`[prepare] failed: ${why}`);
	throw agentFailures.fail("not-prepared", { problem: `cloning ${repository.shown}: ${why}` });
}

function whyFailed({ stopped, ending }: Finished["observed"], { reconciliation }: LedgerSummary): string | null {
	if (reconciliation.verdict === "unaccounted-egress")
		return "bytes left its sandbox that the ledger does not explain.";
	if (stopped !== null) return `it was ended: ${stopped}.`;
	return ending.exitCode === 0 ? null : "git failed; its own words are above.";
}

function clone(
	repository: Repository,
	ref: string | null,
	folder: string,
	screens: LogScreens,
	cancels: Cancels,
	parts: EngineParts,
): Promise<Finished> {
	return withRunDirectory(parts, async (runId, runDirectory) => {
		const deployKey = repository.isSsh ? parts.deployKey : null;
		const environment = { ...GIT_ENVIRONMENT, ...(deployKey && { GIT_SSH_COMMAND: sshCommand(deployKey) }) };
		const workload = cloning(repository, ref, folder, Object.keys(environment), deployKey);
		const secrets = await giveSecrets(workload, runDirectory, parts);
		const place = { runId, runDirectory, folder, root: null, hostProfile: "refused" } as const;
		const planned = await plannedHere(workload, { ...place, secretsFolder: secrets.folder }, parts);
		const files = parts.records.create(recordOf(planned, parts.clock));
		const ties = {
			environment,
			hidden: secrets.values,
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

function cloning(
	{ url, destination }: Repository,
	ref: string | null,
	folder: string,
	variables: readonly string[],
	deployKey: DeployKey | null,
): Workload {
	const branch = ref === null ? [] : ["--branch", ref];
	return {
		schema: "vouch.workload/v1",
		root: { kind: "host" },
		argv: ["git", "clone", "--depth", "1", ...branch, "--", url, "."],
		workingDirectory: "/workspace",
		environment: variables.toSorted(),
		secrets: [],
		...(deployKey && { secretFiles: [deployKey.key, deployKey.knownHosts].toSorted() }),
		workspace: { source: folder, access: "read-write", protected: [] },
		exposed: [],
		network: { mode: "allowlist", allow: [destination], deny: [], http: [] },
		limits: { ...NO_LIMITS, processes: 256, timeoutMs: CLONE_TIMEOUT_MS },
		demands: ["filesystem-isolation", "network-deny-by-default"],
		isolation: null,
	};
}
