import type { ProcessLookup } from "./ledger.ts";

/** Time that look-ups may take at once, and the share of all time that they may take in the long run. */
const SAVED_MOST_MS = 250;
const SHARE = 0.05;

/**
 * Keeps look-ups from starving the gate: each reads much of /proc, milliseconds in which nothing is carried, and a
 * flood of connections would buy as many. Past the allowance the process of an attempt stays unknown.
 */
export function sparingLookup(lookUp: ProcessLookup): ProcessLookup {
	let savedMs = SAVED_MOST_MS;
	let countedAtMs = performance.now();
	return async (source) => {
		const startMs = performance.now();
		savedMs = Math.min(SAVED_MOST_MS, savedMs + (startMs - countedAtMs) * SHARE);
		countedAtMs = startMs;
		if (savedMs <= 0) return null;
		const found = lookUp(source);
		// What a look-up does before its first wait is what blocks everything else.
		savedMs -= performance.now() - startMs;
		return found;
	};
}
