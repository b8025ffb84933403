import type { ProcessLookup } from "./ledger.ts";

/** Look-ups under way at once; each reads much of /proc, off this thread but not for free. */
const AT_ONCE = 4;
/** Look-ups that may wait for one of those. */
const WAITING = 64;

/**
 * Keeps look-ups from starving the gate: a flood of connections would buy as many. Past the bound the process of an attempt
 * stays unknown.
 */
export function sparingLookup(lookUp: ProcessLookup): ProcessLookup {
	let active = 0;
	const waiting: (() => void)[] = [];
	return async (source) => {
		if (active >= AT_ONCE) {
			if (waiting.length >= WAITING) return null;
			// Whoever ends hands its place on, so `active` stays as it is.
			await new Promise<void>((resolve) => waiting.push(resolve));
		} else {
			active += 1;
		}
		try {
			return await lookUp(source);
		} finally {
			const next = waiting.shift();
			if (next === undefined) active -= 1;
			else next();
		}
	};
}
