import { join } from "node:path";
import pino, { type Logger } from "pino";
import {
	Channel,
	type Command,
	ConduitsClient,
	Credentials,
	DebugTape,
	Facilities,
	FinishedLog,
	FreshMeasurements,
	Health,
	Node,
	SandboxEngine,
	Transport,
} from "../../agent/index.ts";
import { systemClock } from "../../core/index.ts";
import { type PublicKey, parsePublicKey } from "../../evidence/index.ts";
import { askPrivileged, realHost, settleInOwnGroup } from "../../host/index.ts";
import { openKeyStore } from "../../journal/index.ts";
import { type ConductParts, RunRecords, upstreamProxyOf } from "../../runtime/index.ts";
import { type Directories, imageDirectory } from "../directories.ts";
import { fail } from "../failures.ts";
import { authFilesFrom } from "../image/parts.ts";
import { privateDirectory } from "../node-keys.ts";
import type { AgentSettings } from "../settings/agent-settings.ts";
import { programVersion } from "../version.ts";
import { PinnedKeys } from "./pinned-keys.ts";
import { claimDirectory } from "./sole-owner.ts";
import { realWaiting } from "./waiting.ts";
import { openPools } from "./warm-pools.ts";

export interface RunningAgent {
	/** Directives that run now. */
	runningCount(): number;
	/** Settles when nothing of it is left. */
	readonly ended: Promise<void>;
	/** Takes no more; what runs may end in the time that the settings give, and is stopped then. */
	drain(): Promise<void>;
	/** Stops what runs at once; its end is told, or kept for the next start. */
	stop(): Promise<void>;
}

export interface AgentOptions {
	readonly log?: Logger;
	/** Sent with every request: how `vouch up` proves its agent to its own control plane. */
	readonly headers?: () => Readonly<Record<string, string>>;
}

/** Starts a node from its settings. */
export async function startAgent(
	settings: AgentSettings,
	directories: Directories,
	{ headers, log: given }: AgentOptions = {},
): Promise<RunningAgent> {
	const log = given ?? pino({ level: settings.logLevel, base: null }, pino.destination({ dest: 2, sync: true }));
	const directory = privateDirectory(agentDirectory(settings, directories));
	const credentials = credentialsOf(settings);
	const access = { territoryId: settings.territoryId || null, tls: credentials.tls, ...(headers && { headers }) };
	const transport = new Transport({ serverUrl: settings.serverUrl, ...access });
	const release = claimDirectory(directory);
	if (headers === undefined) await takeControlGroup(settings, log);
	const engine = engineOf(settings, directory, directories, log);
	await engine.recover();
	const pools = await openPools(settings, directories, log);
	const stopping = new AbortController();
	const health = new Health({ inFlight: () => node.runningCount, drivers: () => engine.drivers() });
	const node = new Node({
		client: new ConduitsClient(transport),
		engine,
		finishedLog: new FinishedLog(join(directory, "state")),
		waiting: realWaiting,
		tape: tapeOf(settings, directory),
		log,
		version: programVersion(),
		heartbeatMs: settings.heartbeatMs,
		maxOutputBytes: settings.maxOutputBytes,
		nowMs: Date.now,
		settings,
		noted: (event) => health.note(event),
	});
	if (settings.healthAddress !== "") await health.listen(...hostAndPort(settings.healthAddress));
	const events = {
		directiveAvailable: () => node.wake(),
		directiveCancel: (directiveId: string) => node.cancel(directiveId),
		command: (command: Command) => node.command(command),
	};
	const channel = new Channel({ url: cableUrlOf(settings), ...access }, events, realWaiting, log);
	const beside = [
		channel.run(stopping.signal),
		credentials.keep(transport, settings.name, realWaiting, log, stopping.signal),
		prune(engine, settings, log, stopping.signal),
	];
	const ended = node.run().finally(async () => {
		stopping.abort();
		await Promise.all(beside);
		await health.close();
		await pools.disposeAsync();
		release();
		transport.close();
	});
	return {
		runningCount: () => node.runningCount,
		ended,
		drain: async () => {
			node.drain();
			const late = setTimeout(() => node.stop(), settings.drainMs);
			await ended.finally(() => clearTimeout(late));
		},
		stop: async () => {
			node.stop();
			await ended;
		},
	};
}

function tapeOf({ debugTape, debugTapePath, debugTapeBytes }: AgentSettings, directory: string): DebugTape | undefined {
	return debugTape
		? new DebugTape(debugTapePath || join(directory, "debug-tape.jsonl"), debugTapeBytes, Date.now)
		: undefined;
}

/** Limits need a control group of this node's own. Without one they are refused, directive by directive. */
async function takeControlGroup({ helperSocket }: AgentSettings, log: Logger): Promise<void> {
	const own = settleInOwnGroup();
	if (own !== undefined) log.info({ group: own }, "limits are kept in the control group that was handed over");
	if (own !== undefined || helperSocket === "") return;
	await askPrivileged(helperSocket, "delegate-control-group").then(
		(group) => log.info({ group }, "the helper handed over a control group"),
		(error: Error) => log.warn({ problem: error.message }, "the helper hands over no control group"),
	);
}

/** Where a node keeps what is its own. */
export function agentDirectory({ dataDirectory }: Pick<AgentSettings, "dataDirectory">, { data }: Directories): string {
	return dataDirectory || join(data, "agent");
}

function engineOf(settings: AgentSettings, directory: string, directories: Directories, log: Logger): SandboxEngine {
	const host = realHost();
	const { cache, runtime } = directories;
	const machine: Omit<ConductParts, "measured"> = {
		clock: systemClock,
		host,
		directories: { cache, runtime },
		version: programVersion,
	};
	const keys = openKeyStore(privateDirectory(join(directory, "keys")));
	const pinned = new PinnedKeys(controlPlaneKeys(settings, log), join(directory, "control-plane-keys.json"), log);
	return new SandboxEngine({
		...machine,
		measured: new FreshMeasurements(machine, imageDirectory(directories)),
		records: new RunRecords(join(directory, "runs")),
		facilities: new Facilities(settings.workDirectory || join(directory, "facilities")),
		importable: settings.importable,
		territoryId: settings.territoryId,
		signer: () => keys.signer(),
		controlPlaneKeys: (successions) => pinned.after(successions),
		hostProfile: settings.hostProfile,
		secrets: { directory: settings.secretsDirectory, command: settings.secretsCommand },
		images: {
			directory: imageDirectory(directories),
			registries: settings.imageRegistries,
			authFiles: authFilesFrom(process.env, host.userId),
			proxyEnvironment: process.env,
		},
		deployKey: settings.sshKey === "" ? null : { key: settings.sshKey, knownHosts: settings.sshKnownHosts },
		logOverflow: settings.logOverflow
			? { directory: settings.logOverflowDirectory, bytes: settings.logOverflowBytes }
			: null,
		upstreamProxy: upstreamProxyOf(process.env),
		minimumFreeBytes: settings.minimumFreeBytes,
		log,
	});
}

function controlPlaneKeys({ controlPlaneKey }: AgentSettings, log: Logger): readonly PublicKey[] {
	if (controlPlaneKey === "") {
		log.warn("control_plane_key is not set: whatever this control plane leases is run, without a signed decision");
		return [];
	}
	const parsed = parsePublicKey(controlPlaneKey);
	if (parsed.kind === "key") return [parsed.key];
	throw fail("cli.settings-invalid", { problems: `control_plane_key: ${parsed.reason.sentence}` });
}

/** Throws `cli.settings-invalid` when a file that the settings name can't be read. */
export function credentialsOf({ certificateAuthority: ca, certificate, key }: AgentSettings): Credentials {
	try {
		return new Credentials({ ca, certificate, key });
	} catch (error) {
		throw fail("cli.settings-invalid", { problems: `tls: ${(error as Error).message}` });
	}
}

function cableUrlOf({ serverUrl, territoryId, cableUrl }: AgentSettings): string {
	const whole = cableUrl.startsWith("/") ? `${serverUrl.replace(/\/$/, "")}${cableUrl}` : cableUrl;
	const url = new URL(whole.replace(/^http/, "ws"));
	if (territoryId !== "") url.searchParams.set("territory_id", territoryId);
	return url.href;
}

function hostAndPort(address: string): [host: string, port: number] {
	const colon = address.lastIndexOf(":");
	const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
	return [host || "127.0.0.1", Number(address.slice(colon + 1))];
}

const PRUNE_MS = 5 * 60_000;

/** Removes facilities that were idle for long, a few at a time (conduits section 10, "Prune"). */
async function prune(engine: SandboxEngine, settings: AgentSettings, log: Logger, stop: AbortSignal): Promise<void> {
	const ages = { idleMs: settings.pruneIdleMs, oldMs: settings.pruneOldMs };
	while (!stop.aborted) {
		const removed = await engine.prune(ages).catch((error: unknown) => {
			log.warn({ err: error }, "removing idle facilities failed");
			return [];
		});
		if (removed.length > 0) log.info({ facilities: removed }, "idle facilities were removed");
		await realWaiting.pause(PRUNE_MS, stop);
	}
}
