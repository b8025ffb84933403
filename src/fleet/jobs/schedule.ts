import { setTimeout as pause } from "node:timers/promises";
import type { FastifyBaseLogger } from "fastify";
import { forgetOldFiles } from "../artifacts/old.ts";
import { journalEvents } from "../audit/journal-events.ts";
import { removeUnnamed } from "../blobs/aging.ts";
import { timeOutCommands } from "../commands/dispatch.ts";
import { receiptsOfOurOwn } from "../receipts/own-receipt.ts";
import type { Services } from "../services.ts";
import type { Store } from "../store/store.ts";
import { clean, DEFAULT_RETENTION } from "./clean.ts";
import { expireApprovals } from "./expire-approvals.ts";
import { markOffline, reapLeases } from "./reap.ts";

interface Job {
	readonly name: string;
	readonly everyMs: number;
	readonly run: (store: Store, services: Services) => Promise<unknown>;
}

/** What every control plane does by itself. Several at once are fine: each row is locked by whoever is first. */
const JOBS: readonly Job[] = [
	{ name: "reap leases", everyMs: 2_000, run: reapLeases },
	{ name: "mark territories offline", everyMs: 30_000, run: markOffline },
	{ name: "time out commands", everyMs: 5_000, run: (store) => store.transaction(timeOutCommands) },
	{ name: "expire approvals", everyMs: 60_000, run: expireApprovals },
	{ name: "receipts that no node gives", everyMs: 5_000, run: receiptsOfOurOwn },
	{ name: "journal audit events", everyMs: 10_000, run: (store, { keys }) => journalEvents(store, keys) },
	{ name: "forget old files", everyMs: 3_600_000, run: forgetOldFiles },
	{ name: "remove old blobs", everyMs: 3_600_000, run: (store, { blobs }) => removeUnnamed(store, blobs) },
	{ name: "remove old rows", everyMs: 3_600_000, run: (store) => clean(store, DEFAULT_RETENTION) },
];

/** Runs the jobs until the returned function is called; a failure is logged and the job's next round tries again. */
export function schedule(store: Store, services: Services, log: FastifyBaseLogger): () => Promise<void> {
	const stopping = new AbortController();
	const rounds = JOBS.map(async ({ name, everyMs, run }) => {
		while (!stopping.signal.aborted) {
			await run(store, services).catch((error: unknown) => log.error({ err: error, job: name }, "job failed"));
			await pause(everyMs, null, { signal: stopping.signal }).catch(() => null);
		}
	});
	return async () => {
		stopping.abort();
		await Promise.all(rounds);
	};
}

/** Each job once, one after the other: for programs that have a clock of their own. */
export async function oneRound(store: Store, services: Services): Promise<void> {
	for (const { run } of JOBS) await run(store, services);
}
