/** Time as a part: tests and simulations hand in their own. */
export interface Clock {
	/** Milliseconds since the Unix epoch. */
	nowMs(): number;
	/** Milliseconds on a clock that never goes back. */
	monotonicMs(): number;
}

export const systemClock: Clock = {
	nowMs: () => Date.now(),
	monotonicMs: () => performance.now(),
};
