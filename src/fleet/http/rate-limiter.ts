import { RATES, type RateName } from "../../api/index.ts";

interface Window {
	startedAt: number;
	requests: number;
}

/** Callers remembered at once; past that the oldest are forgotten, which never refuses anybody wrongly. */
const MAX_CALLERS = 100_000;
/** No request waits longer: nodes give up after ten seconds (conduits section 7.5). */
const LONGEST_PAUSE_MS = 5_000;

/** How often who asks for what, by name and by whom. One per control plane: a limit protects a machine. */
export class RateLimiter {
	readonly #windows = new Map<string, Window>();
	/** When the last request of a caller would have come, had all of them kept their distance. */
	readonly #dueAt = new Map<string, number>();

	/** Undefined lets it pass; otherwise whole seconds after which to ask again. */
	refuse(name: RateName, by: string, nowMs: number): number | undefined {
		const { requests, windowMs } = RATES[name];
		const key = `${name} ${by}`;
		let window = this.#windows.get(key);
		if (window === undefined || nowMs - window.startedAt >= windowMs) {
			window = { startedAt: nowMs, requests: 0 };
			keep(this.#windows, key, window);
		}
		window.requests += 1;
		return window.requests > requests ? Math.ceil(windowMs / 1000) : undefined;
	}

	/**
	 * Milliseconds that a request waits instead of being refused: a window's worth may come at once, then one after the other at
	 * the window's rate. Undefined when so many wait already that this one would for too long.
	 */
	pause(name: RateName, by: string, nowMs: number): number | undefined {
		const { requests, windowMs } = RATES[name];
		const key = `${name} ${by}`;
		const dueAt = Math.max(this.#dueAt.get(key) ?? 0, nowMs) + windowMs / requests;
		const pauseMs = Math.max(0, dueAt - windowMs - nowMs);
		if (pauseMs > LONGEST_PAUSE_MS) return undefined;
		keep(this.#dueAt, key, dueAt);
		return pauseMs;
	}
}

/** The latest stands last. */
function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
	map.delete(key);
	const [oldest] = map.keys();
	if (map.size >= MAX_CALLERS && oldest !== undefined) map.delete(oldest);
	map.set(key, value);
}
