import { availableParallelism } from "node:os";
import { extname } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { GroupHashing, type Mismatch, type Work } from "./groups.ts";
import { FAN_OUT, VERITY_BLOCK_BYTES } from "./layout.ts";

export interface CrewOptions {
	readonly signal?: AbortSignal | undefined;
	readonly progress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/** Integers of `Work.control`: the next group that nobody has taken. */
export const NEXT_GROUP = 0;
const CONTROL_BYTES = 4;

/** Groups taken at a time: 4 MiB, so that each thread reads long runs and yet all end at nearly the same moment. */
export const GROUPS_AT_A_TIME = 8;
/** A thread costs 30 ms to start: below 16 MiB of data hashing here is as fast. */
const WORTH_THREADS_GROUPS = 32;
const PROGRESS_EVERY_MS = 100;

export function newControl(): SharedArrayBuffer {
	return new SharedArrayBuffer(CONTROL_BYTES);
}

/**
 * Takes all groups of the work, on all cores. When it settles, for whatever reason, nothing touches the file any more.
 * Rejects with the signal's reason when interrupted, and with the system's own error when a read or write failed.
 */
export async function takeAllGroups(work: Work, options: CrewOptions): Promise<readonly Mismatch[]> {
	options.signal?.throwIfAborted();
	const report = () => {
		const next = Math.min(Atomics.load(new Int32Array(work.control), NEXT_GROUP), work.layout.groups);
		const blocks = Math.min(next * FAN_OUT, work.layout.dataBlocks);
		options.progress?.(blocks * VERITY_BLOCK_BYTES, work.layout.dataBlocks * VERITY_BLOCK_BYTES);
	};
	const ticking = options.progress === undefined ? undefined : setInterval(report, PROGRESS_EVERY_MS);
	try {
		const found = work.layout.groups <= WORTH_THREADS_GROUPS ? await here(work, options) : await threads(work, options);
		report();
		return found.toSorted((left, right) => left.group - right.group);
	} finally {
		clearInterval(ticking);
	}
}

async function here(work: Work, { signal }: CrewOptions): Promise<readonly Mismatch[]> {
	const found: Mismatch[] = [];
	for (const mismatches of takeGroups(work)) {
		found.push(...mismatches);
		await setImmediate();
		signal?.throwIfAborted();
	}
	return found;
}

/** What one thread does: takes the next few groups until there are none. Yields after each few. */
export function* takeGroups(work: Work): Generator<readonly Mismatch[]> {
	const hashing = new GroupHashing(work);
	const control = new Int32Array(work.control);
	for (;;) {
		const first = Atomics.add(control, NEXT_GROUP, GROUPS_AT_A_TIME);
		if (first >= work.layout.groups) return;
		const end = Math.min(first + GROUPS_AT_A_TIME, work.layout.groups);
		const mismatches: Mismatch[] = [];
		for (let group = first; group < end; group += 1) {
			const mismatch = hashing.take(group);
			if (mismatch !== undefined) mismatches.push(mismatch);
		}
		yield mismatches;
	}
}

async function threads(work: Work, { signal }: CrewOptions): Promise<readonly Mismatch[]> {
	const count = Math.min(availableParallelism(), Math.ceil(work.layout.groups / GROUPS_AT_A_TIME));
	// The same extension as this very file: `.ts` from the sources, `.js` from the package.
	const entry = new URL(`./verity-thread${extname(import.meta.filename)}`, import.meta.url);
	const workers = Array.from({ length: count }, () => new Worker(entry, { workerData: work }));
	const { promise: interrupted, reject: interrupt } = Promise.withResolvers<never>();
	const onAbort = () => interrupt(signal?.reason);
	signal?.addEventListener("abort", onAbort, { once: true });
	try {
		const found = await Promise.race([Promise.all(workers.map(mismatchesOf)), interrupted]);
		return found.flat();
	} finally {
		signal?.removeEventListener("abort", onAbort);
		// Settles when the thread is gone; a write that is under way ends first.
		await Promise.all(workers.map((worker) => worker.terminate()));
	}
}

function mismatchesOf(worker: Worker): Promise<readonly Mismatch[]> {
	return new Promise((resolve, reject) => {
		worker.on("message", resolve);
		worker.on("error", reject);
		worker.on("exit", (code) => reject(new Error(`a hashing thread ended early with ${code}.`)));
	});
}
