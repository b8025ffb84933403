import { availableParallelism } from "node:os";

/**
 * Does the work for each item, several at once, and gives the results in the order of the items. When one fails the others are
 * told to stop, and all have stopped when this rejects: with the signal's reason, else with the failure of the first item that
 * had one of its own.
 */
export async function severalAtOnce<Item, Result>(
	items: readonly Item[],
	signal: AbortSignal | undefined,
	work: (item: Item, signal: AbortSignal) => Promise<Result>,
): Promise<readonly Result[]> {
	const stop = new AbortController();
	const either = AbortSignal.any([stop.signal, ...(signal === undefined ? [] : [signal])]);
	const results: Result[] = [];
	const failures = new Map<number, unknown>();
	let next = 0;
	const worker = async (): Promise<void> => {
		while (next < items.length && !either.aborted) {
			const index = next;
			next += 1;
			try {
				results[index] = await work(items[index] as Item, either);
			} catch (error) {
				if (error !== STOPPED) failures.set(index, error);
				stop.abort(STOPPED);
			}
		}
	};
	await Promise.all(Array.from({ length: Math.min(items.length, availableParallelism()) }, worker));
	signal?.throwIfAborted();
	const [first] = [...failures].sort(([left], [right]) => left - right);
	if (first !== undefined) throw first[1];
	return results;
}

/** Why the others end. */
const STOPPED = new Error("another part failed");
