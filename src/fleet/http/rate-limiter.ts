import { RATES, type RateName } from "../../api/index.ts";

interface Window {
	startedAt: number;
	requests: number;
}

/** Windows kept at once; past that the oldest are forgotten, which never refuses anybody wrongly. */
const MAX_WINDOWS = 100_000;

/** Fixed windows by name and by whom. One per control plane: a limit protects a machine. */
export class RateLimiter {
	readonly #windows = new Map<string, Window>();

	/** Undefined lets it pass; otherwise whole seconds after which to ask again. */
	refuse(name: RateName, by: string, nowMs: number): number | undefined {
		const { requests, windowMs } = RATES[name];
		const key = `${name} ${by}`;
		let window = this.#windows.get(key);
		if (window === undefined || nowMs - window.startedAt >= windowMs) {
			if (this.#windows.size >= MAX_WINDOWS) this.#forgetOldest();
			window = { startedAt: nowMs, requests: 0 };
			this.#windows.delete(key);
			this.#windows.set(key, window);
		}
		window.requests += 1;
		return window.requests > requests ? Math.ceil(windowMs / 1000) : undefined;
	}

	/** Windows stand in the order of their beginning. */
	#forgetOldest(): void {
		const [oldest] = this.#windows.keys();
		if (oldest !== undefined) this.#windows.delete(oldest);
	}
}
