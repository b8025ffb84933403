import { setImmediate as nextTurn } from "node:timers/promises";

/** How long the event loop may be held: signals, timers and the guest's channel must still be served. */
const TURN_MS = 20;

/** To be awaited between small pieces of synchronous work; throws the signal's reason once it is aborted. */
export function paceOf(signal: AbortSignal | undefined): () => Promise<void> {
	let turnStartedMs = performance.now();
	return async () => {
		if (performance.now() - turnStartedMs < TURN_MS) return;
		await nextTurn();
		signal?.throwIfAborted();
		turnStartedMs = performance.now();
	};
}
