import { statfs } from "node:fs/promises";
import type { Lease } from "../../api/conduits/schema.ts";
import { type Json, toBase64 } from "../../core/index.ts";
import { merkleRoot, sealReceipt } from "../../evidence/index.ts";
import type { Preparation } from "../../evidence/schema.ts";
import {
	type Cancels,
	conduct,
	type Finished,
	type Judged,
	type RunFiles,
	receiptPartsOf,
	recordOf,
	recoverInterrupted,
	subjectsOf,
	withRunDirectory,
} from "../../runtime/index.ts";
import type { Engine, Execution, ExecutionTies } from "../engine.ts";
import { type DecidedLease, decideOn } from "./decided-lease.ts";
import { capacityOf, driverStates, profilesOf } from "./driver-health.ts";
import { endingOf } from "./ending.ts";
import { facilityIdSchema, type PruneAges } from "./facilities.ts";
import { imageCapacity, imageOf, imageRefusal } from "./images.ts";
import { importInto } from "./import-folder.ts";
import { LogScreens } from "./log-screen.ts";
import { keepOverflow } from "./overflow.ts";
import type { EngineParts } from "./parts.ts";
import { type Place, plannedHere } from "./placement.ts";
import { cloneInto } from "./preparation.ts";
import { giveSecrets } from "./secrets.ts";
import { variablesOf } from "./variables.ts";

/** Section 5.2. */
const DEFAULT_DIFF_BYTES = 1_048_576;

type Allowed = Extract<DecidedLease, { kind: "decided" }>;

interface Prepared {
	/** Of a facility that was cloned for this very directive. */
	readonly preparation: Preparation | undefined;
}

/** Runs leased directives in this machine's sandboxes, each exactly as it was decided, and signs what was observed. */
export class SandboxEngine implements Engine {
	readonly #parts: EngineParts;
	#profiles: readonly string[] = [];
	#wasFull = false;

	constructor(parts: EngineParts) {
		this.#parts = parts;
	}

	get version(): string {
		return `vouch-${this.#parts.version()}`;
	}

	/** As of the last look, see `capacity`. */
	get profiles(): readonly string[] {
		return this.#profiles;
	}

	/** Ends and removes what a node that was killed left here. */
	async recover(): Promise<void> {
		await recoverInterrupted(this.#parts, this.#parts.records);
		for (const { runId } of this.#parts.records.list()) this.#parts.records.forget(runId);
	}

	async capacity(): Promise<Readonly<Record<string, Json>>> {
		const states = await driverStates(this.#parts);
		const freeBytes = await this.#freeBytes();
		this.#profiles = this.#isFull(freeBytes) ? [] : profilesOf(states);
		const disk = { free_bytes: freeBytes, minimum_free_bytes: this.#parts.minimumFreeBytes };
		return { ...capacityOf(states), ...(await imageCapacity(this.#parts.images)), disk };
	}

	/** Each driver by name, as it is now. */
	async drivers(): Promise<Readonly<Record<string, "healthy" | "unhealthy">>> {
		const states = await driverStates(this.#parts);
		return Object.fromEntries(states.map(({ driver, healthy }) => [driver, healthy]));
	}

	/** Removes facilities that nobody uses any more; answers their ids. */
	prune(ages: PruneAges): Promise<readonly string[]> {
		return this.#parts.facilities.prune(this.#parts.clock.nowMs(), ages);
	}

	async refuse(lease: Lease): Promise<string | undefined> {
		if (this.#isFull(await this.#freeBytes())) return "The disk of this node is nearly full. Nothing was run.";
		if (!facilityIdSchema.safeParse(lease.spec.facility.id).success)
			return "The facility's id is no name for a folder. Nothing was run.";
		const decided = this.#decide(lease);
		if (decided.kind === "refused") return `The lease is refused: ${decided.reason}. Nothing was run.`;
		const { root } = decided.workload;
		const problem = root.kind === "image" ? await imageRefusal(root, this.#parts.images) : undefined;
		return problem === undefined ? undefined : `${problem} Nothing was run.`;
	}

	#decide(lease: Lease): DecidedLease {
		return decideOn(lease, this.#parts.controlPlaneKeys(lease.key_successions ?? []));
	}

	async execute(lease: Lease, ties: ExecutionTies): Promise<Execution> {
		const decided = this.#decide(lease);
		if (decided.kind === "refused") throw new TypeError("a lease that is refused was to be run");
		const { facilities, clock } = this.#parts;
		const { id, repo_url, repo_ref, import_path } = lease.spec.facility;
		const screens = new LogScreens(ties.write);
		const cancels = cancelsBy(ties.stop);
		const prepare = async (folder: string): Promise<void> => {
			const origin = { url: repo_url ?? "", ref: repo_ref ?? null };
			if (repo_url) preparation = await cloned(ties, () => cloneInto(folder, origin, screens, cancels, this.#parts));
			else if (import_path) await importInto(folder, import_path, this.#parts.importable);
		};
		let preparation: Preparation | undefined;
		return facilities.use(id, clock.nowMs(), prepare, async (folder) => {
			if (repo_url && preparation === undefined) ties.tape("prepare_clone_skipped");
			const { root } = decided.workload;
			const image = root.kind === "image" ? await imageOf(root, screens, ties.stop, this.#parts) : null;
			return this.#run(lease, decided, { folder, root: image, preparation }, screens, cancels, ties);
		});
	}

	#run(
		lease: Lease,
		allowed: Allowed,
		{ preparation, ...where }: Pick<Place, "folder" | "root"> & Prepared,
		screens: LogScreens,
		cancels: Cancels,
		{ keepArtifacts, tape }: Pick<ExecutionTies, "keepArtifacts" | "tape">,
	): Promise<Execution> {
		const { records, clock, territoryId, hostProfile, upstreamProxy, logOverflow } = this.#parts;
		return withRunDirectory(this.#parts, async (runId, runDirectory) => {
			const secrets = await giveSecrets(allowed.workload, runDirectory, this.#parts);
			const place = { ...where, runId, runDirectory, hostProfile, secretsFolder: secrets.folder };
			const planned = await plannedHere(allowed.workload, place, this.#parts).catch((error: Error) => {
				tape("driver_select_failed", { detail: error.message });
				throw error;
			});
			const driver = planned.driver.name;
			tape("driver_selected", { driver });
			const files = records.create(recordOf(planned, clock));
			const ties = {
				environment: variablesOf(allowed.workload, lease, territoryId),
				hidden: secrets.values,
				screens: { ...screens, stdin: secrets.input },
				cancels,
				beyondOutputLimit: { overflowBytes: logOverflow?.bytes ?? 0 },
				upstreamProxy,
				merkleRoot,
				started: () => tape("run_started", { driver }),
			} as const;
			try {
				const finished = await conduct(planned, files, ties, this.#parts);
				tape("run_finished", { driver });
				await screens.end();
				if (finished.artifacts !== null) await keepArtifacts(files.artifacts);
				const overflow = logOverflow && (await keepOverflow(files, where.folder, lease, logOverflow));
				const mostDiff = lease.spec.limits?.max_diff_bytes || DEFAULT_DIFF_BYTES;
				const seen = { ...finished, preparation };
				return { ...this.#executionOf(seen, allowed.judged, files, mostDiff), overflow };
			} finally {
				records.forget(runId);
			}
		});
	}

	#executionOf(
		{ preparation, ...finished }: Finished & Prepared,
		judged: Judged,
		files: RunFiles,
		maxDiffBytes: number,
	): Omit<Execution, "overflow"> {
		const signer = this.#parts.signer();
		const predicate = { ...receiptPartsOf(finished, judged, signer.keyId), ...(preparation && { preparation }) };
		const { envelope } = sealReceipt({ predicate, subjects: subjectsOf(finished, files), signer });
		const { observed, before, changes, diff, artifacts } = finished;
		const fits = diff === null || diff.length <= maxDiffBytes;
		return {
			...endingOf(predicate.result),
			driver: predicate.launchPlan.driver,
			receipt: { envelope, publicKey: toBase64(signer.publicKey.raw) },
			diff: fits ? diff : null,
			diffTruncated: fits ? "whole" : "truncated",
			cut: (["stdout", "stderr"] as const).filter((stream) => observed[stream].truncated),
			snapshots: { before: before?.digest ?? null, after: changes.after },
			artifacts: artifacts?.files ?? [],
		};
	}

	/** Null where it is not known. */
	async #freeBytes(): Promise<number | null> {
		const { facilities, log } = this.#parts;
		try {
			const { bavail, bsize } = await statfs(facilities.directory);
			return bavail * bsize;
		} catch (error) {
			log.warn({ problem: (error as Error).message }, "free disk space is not known");
			return null;
		}
	}

	/** Said when it becomes so, and when it is over. */
	#isFull(freeBytes: number | null): boolean {
		const { minimumFreeBytes: minimum, log } = this.#parts;
		const isFull = freeBytes !== null && freeBytes < minimum;
		if (isFull && !this.#wasFull) log.warn({ free: freeBytes, minimum }, "the disk is nearly full: nothing is begun");
		if (!isFull && this.#wasFull) log.info({ free: freeBytes, minimum }, "there is room on the disk again");
		this.#wasFull = isFull;
		return isFull;
	}
}

async function cloned<T>({ tape }: Pick<ExecutionTies, "tape">, clone: () => Promise<T>): Promise<T> {
	tape("prepare_clone_started");
	const made = await clone().catch((error: Error) => {
		tape("prepare_clone_failed", { detail: error.message });
		throw error;
	});
	tape("prepare_clone_succeeded");
	return made;
}

/** A first request to stop asks the command to end; a run that does not gets its grace and is killed. */
function cancelsBy(stop: AbortSignal): Cancels {
	return (cancel) => {
		const onAbort = (): void => cancel("SIGTERM");
		if (stop.aborted) onAbort();
		else stop.addEventListener("abort", onAbort, { once: true });
		return () => stop.removeEventListener("abort", onAbort);
	};
}
