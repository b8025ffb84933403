import type { Logger } from "pino";
import { isOlder } from "../api/index.ts";
import { sendArtifacts } from "./artifact-upload.ts";
import { CircuitBreaker, type Waiting } from "./back-off.ts";
import { type Command, capabilityNames, serveCommand } from "./commands.ts";
import type { ConduitsClient, HeartbeatAnswer } from "./conduits-client.ts";
import { DirectiveRun, type DirectiveRunParts } from "./directive-run.ts";
import { deliverEnd } from "./end-report.ts";

export interface NodeSettings {
	/** Directives at once. */
	readonly maxConcurrent: number;
	readonly retryBackOffMs: number;
	readonly territoryHeartbeatMs: number;
	readonly labels: Readonly<Record<string, string>>;
}

export interface NodeParts extends Omit<DirectiveRunParts, "shutdown"> {
	readonly client: ConduitsClient;
	readonly waiting: Waiting;
	readonly log: Logger;
	readonly settings: NodeSettings;
}

const REPLAY_MS = 30_000;
const STOP_MS = 10_000;
const LONGEST_RETRY_AFTER_MS = 300_000;

/** The daemon of a territory: it polls, runs what it is leased, and reports; it loses no end that it has seen. */
export class Node {
	readonly #parts: NodeParts;
	readonly #breaker = new CircuitBreaker();
	readonly #running = new Map<string, DirectiveRun>();
	readonly #endings = new Map<string, Promise<void>>();
	/** No further leases. */
	readonly #drain = new AbortController();
	/** What runs is stopped. */
	readonly #shutdown = new AbortController();
	readonly #commands = new Set<string>();
	#versionsSaid = "";
	#nudge: (() => void) | undefined;

	readonly #startedMs: number;

	constructor(parts: NodeParts) {
		this.#parts = parts;
		this.#startedMs = parts.nowMs();
	}

	get runningCount(): number {
		return this.#running.size;
	}

	/** Runs until `drain` or `stop`; resolves when nothing of it is left. */
	async run(): Promise<void> {
		await this.#parts.finishedLog.sweep();
		await this.#replayOnce();
		await this.#announce();
		const beside = [this.#replay(), this.#beatTerritory()];
		while (!this.#drain.signal.aborted) await this.#round();
		await Promise.all(this.#endings.values());
		this.#shutdown.abort();
		await Promise.all(beside);
	}

	/** Takes no more and waits for what runs. */
	drain(): void {
		this.#drain.abort();
		this.#nudge?.();
	}

	/** Takes no more and stops what runs; its end is reported or kept. */
	stop(): void {
		this.drain();
		for (const run of this.#running.values()) run.cancel();
		// A control plane that can't be reached does not hold it back: what is not told is kept.
		void this.#parts.waiting.pause(STOP_MS, this.#shutdown.signal).then(() => this.#shutdown.abort());
	}

	/** Something may be there to lease: look now. */
	wake(): void {
		this.#nudge?.();
	}

	cancel(directiveId: string): void {
		this.#running.get(directiveId)?.cancel();
	}

	/** Does what a device is asked to do, once for each id. */
	command(command: Command): void {
		if (this.#commands.has(command.command_id)) return;
		this.#commands.add(command.command_id);
		const parts = { ...this.#parts, stop: this.#shutdown.signal };
		void serveCommand(command, parts).finally(() => this.#commands.delete(command.command_id));
	}

	async #round(): Promise<void> {
		const { settings, engine } = this.#parts;
		const free = settings.maxConcurrent - this.#running.size;
		if (free < 1 || engine.profiles.length === 0) return this.#rest(settings.retryBackOffMs);
		if (this.#breaker.waitMs > 0) await this.#rest(this.#breaker.waitMs);
		if (this.#drain.signal.aborted) return;
		const restMs = await this.#poll(free);
		if (restMs > 0) await this.#rest(restMs);
	}

	/** How long to rest before the next poll. */
	async #poll(free: number): Promise<number> {
		const { client, engine, noted, log, settings, nowMs } = this.#parts;
		try {
			const askedMs = nowMs();
			const { leases, unreadable, retryAfterSeconds, leaseMs } = await client.poll(
				engine.profiles,
				free,
				this.#drain.signal,
			);
			this.#breaker.succeeded();
			if (unreadable > 0) log.warn({ leases: unreadable }, "leases that can't be read are left to run out");
			noted({ kind: "poll", result: leases.length > 0 ? "ok" : "empty" });
			for (const lease of leases) {
				const parts = { ...this.#parts, shutdown: this.#shutdown.signal };
				this.#begin(new DirectiveRun(lease, { leaseMs, askedMs }, parts));
			}
			if (leases.length > 0) return 0;
			const toldMs = Math.min(retryAfterSeconds * 1000, LONGEST_RETRY_AFTER_MS);
			return toldMs > 0 ? toldMs : settings.retryBackOffMs;
		} catch (error) {
			if (this.#drain.signal.aborted) return 0;
			this.#breaker.failed();
			noted({ kind: "poll", result: "error" });
			log.warn({ problem: (error as Error).message }, "a poll failed");
			return settings.retryBackOffMs;
		}
	}

	#begin(run: DirectiveRun): void {
		const { directive_id: id } = run.lease;
		if (this.#running.has(id)) return;
		this.#running.set(id, run);
		const { log, noted, nowMs } = this.#parts;
		const startedMs = nowMs();
		const ending = run
			.run()
			.catch((error: unknown) => {
				log.error({ err: error, directive: id }, "a directive's run broke");
				return "broken" as const;
			})
			.then((outcome) => {
				this.#running.delete(id);
				this.#endings.delete(id);
				const { status, driver } = run;
				const { sandbox_profile: profile } = run.lease.spec;
				noted({ kind: "directive", status: status ?? outcome, profile, driver, seconds: (nowMs() - startedMs) / 1000 });
				this.wake();
			});
		this.#endings.set(id, ending);
	}

	/** Rests, unless there is a reason to look now. */
	async #rest(durationMs: number): Promise<void> {
		const nudged = new AbortController();
		this.#nudge = () => nudged.abort();
		await this.#parts.waiting.pause(durationMs, AbortSignal.any([nudged.signal, this.#drain.signal]));
		this.#nudge = undefined;
	}

	/** Ends that were not delivered, of this start and those before: again and again until they are, or are refused for good. */
	async #replay(): Promise<void> {
		const { waiting, log } = this.#parts;
		while (!this.#drain.signal.aborted) {
			await this.#replayOnce().catch((error: unknown) => log.error({ err: error }, "replaying ends broke"));
			await waiting.pause(REPLAY_MS, this.#drain.signal);
		}
	}

	async #replayOnce(): Promise<void> {
		const { client, finishedLog, waiting, nowMs, log } = this.#parts;
		for (const report of await finishedLog.read(nowMs())) {
			const { directive_id: directive } = report;
			// Its own run delivers it.
			if (this.#running.has(directive)) continue;
			const token = () => report.token;
			const folder = finishedLog.artifactFolder(directive);
			const sent = await sendArtifacts(report, { client, folder, token, waiting, stop: this.#drain.signal, log });
			if (sent === "kept") return;
			const { kind } = await deliverEnd(client, report, waiting, this.#drain.signal);
			if (kind === "kept") return;
			await finishedLog.remove(report);
			log.info({ directive, kind }, "an end from before was reported");
		}
	}

	/**
	 * The first heartbeat, before anything is leased: whatever the control plane believes to run here does not, and its lease is over
	 * at once. It also looks at the machine: what works here is what is asked for.
	 */
	async #announce(): Promise<void> {
		const { waiting, log, settings } = this.#parts;
		while (!this.#drain.signal.aborted) {
			const isHeard = await this.#beat({ just_started: true }).then(
				() => true,
				(error: Error) =>
					void log.warn({ problem: error.message }, "the control plane does not hear that this node is there"),
			);
			if (isHeard) return;
			await waiting.pause(settings.retryBackOffMs * (0.75 + waiting.random() / 2), this.#drain.signal);
		}
	}

	async #beatTerritory(): Promise<void> {
		const { waiting, settings, log } = this.#parts;
		let toldSeconds: number | null = null;
		while (!this.#shutdown.signal.aborted) {
			const restMs = toldSeconds === null ? settings.territoryHeartbeatMs : toldSeconds * 1000;
			await waiting.pause(Math.min(restMs, settings.territoryHeartbeatMs), this.#shutdown.signal);
			if (this.#shutdown.signal.aborted) return;
			toldSeconds = await this.#beat({}).catch((error: Error) => {
				log.warn({ problem: error.message }, "the territory's heartbeat failed");
				return null;
			});
		}
	}

	async #beat(also: { readonly just_started?: true }): Promise<number | null> {
		const { client, engine, settings, version, nowMs, finishedLog } = this.#parts;
		const running = [...this.#running.keys()];
		const untold = await finishedLog.read(nowMs());
		const capacity = { ...(await engine.capacity()), max_concurrent: settings.maxConcurrent };
		const answer = await client.heartbeat({
			nexus_version: version,
			labels: settings.labels,
			capacity: capacity as never,
			capabilities: [...capabilityNames],
			runtime_status: {
				running_directives: running.length,
				// Also what has ended and is not delivered yet: it is still ours to tell.
				directive_ids: [...running, ...untold.map(({ directive_id }) => directive_id)],
				uptime_seconds: Math.floor((nowMs() - this.#startedMs) / 1000),
				...also,
			},
			running_directives_count: running.length,
		});
		this.#noteVersions(answer);
		for (const command of await client.pendingCommands().catch(() => [])) this.command(command);
		return answer.next_heartbeat_interval_seconds;
	}

	/** Said once for each version: nothing else changes (section 2.3.2). */
	#noteVersions({ upgrade_available, latest_version, min_compatible_version: minimum }: HeartbeatAnswer): void {
		const { version, log } = this.#parts;
		const said = `${upgrade_available} ${latest_version} ${minimum}`;
		if (said === this.#versionsSaid) return;
		this.#versionsSaid = said;
		if (upgrade_available) log.info({ latest: latest_version }, "a newer version is there");
		if (minimum !== null && isOlder(version, minimum))
			log.warn({ version, minimum }, "this version is older than the control plane is made for");
	}
}
