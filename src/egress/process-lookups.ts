import type { ProcessLookup } from "./ledger.ts";

/** Look-ups that a quiet run has saved up, and how fast they come back: each costs the machine milliseconds of reading /proc. */
const SAVED_MOST = 8;
const PER_SECOND = 1;

/**
 * Keeps look-ups from starving the gate: a flood of connections would buy as many. Past the allowance the process of an attempt
 * stays unknown.
 */
export function sparingLookup(lookUp: ProcessLookup, nowMs: () => number = () => performance.now()): ProcessLookup {
	let saved = SAVED_MOST;
	let countedAtMs = nowMs();
	return async (source) => {
		const now = nowMs();
		saved = Math.min(SAVED_MOST, saved + ((now - countedAtMs) / 1000) * PER_SECOND);
		countedAtMs = now;
		if (saved < 1) return null;
		saved -= 1;
		return lookUp(source);
	};
}
