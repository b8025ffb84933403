import { availableParallelism } from "node:os";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { type Content, readContent } from "./content.ts";
import { fail } from "./failures.ts";
import type { HashingAnswer, HashingRequest } from "./hashing-thread.ts";

export interface Hashing {
	/** Contents of these files, in their order. The folder must stay open until it settles. */
	hash(folderFd: number, names: readonly string[], bytes: number): Promise<readonly Content[]>;
	close(): Promise<void>;
}

/** A thread costs 30 ms to start: below this much work in one scan, hashing here and now is faster. */
const WORTH_THREADS_MS = 25;
/** Past this size a batch would hold up the event loop, so threads take it whatever the rest is. */
const WORTH_THREADS_BYTES = 16 << 20;
const MAX_THREADS = 4;

interface Waiting {
	resolve(contents: readonly Content[]): void;
	reject(error: unknown): void;
}
interface Thread {
	readonly worker: Worker;
	readonly waiting: Map<number, Waiting>;
}

export function openHashing(): Hashing {
	let spentMs = 0;
	let threads: Thread[] | undefined;
	let nextId = 0;
	return {
		hash: (folderFd, names, bytes) => {
			if (threads === undefined && spentMs < WORTH_THREADS_MS && bytes < WORTH_THREADS_BYTES) {
				const startedMs = performance.now();
				const contents = names.map((name) => readContent(folderFd, name));
				spentMs += performance.now() - startedMs;
				return Promise.resolve(contents);
			}
			threads ??= Array.from({ length: Math.min(MAX_THREADS, availableParallelism()) }, startThread);
			return ask(leastBusy(threads), { id: nextId++, folderFd, names });
		},
		close: async () => {
			await Promise.all((threads ?? []).map(({ worker }) => worker.terminate()));
		},
	};
}

function startThread(): Thread {
	// The same extension as this very file: `.ts` from the sources, `.js` from the package.
	const worker = new Worker(new URL(`./hashing-thread${extname(import.meta.filename)}`, import.meta.url));
	const waiting = new Map<number, Waiting>();
	worker.on("message", ({ id, contents }: HashingAnswer) => {
		waiting.get(id)?.resolve(contents);
		waiting.delete(id);
	});
	const abandon = (cause: unknown) => {
		for (const { reject } of waiting.values()) reject(fail("tree-hashing-failed", { cause: String(cause) }, cause));
		waiting.clear();
	};
	worker.on("error", abandon);
	worker.on("exit", (code) => abandon(`exit ${code}`));
	return { worker, waiting };
}

function leastBusy(threads: readonly Thread[]): Thread {
	return threads.reduce((best, thread) => (thread.waiting.size < best.waiting.size ? thread : best));
}

function ask({ worker, waiting }: Thread, request: HashingRequest): Promise<readonly Content[]> {
	return new Promise((resolve, reject) => {
		waiting.set(request.id, { resolve, reject });
		worker.postMessage(request);
	});
}
