import { setTimeout as pause } from "node:timers/promises";
import type { Waiting } from "../../agent/index.ts";

export const realWaiting: Waiting = {
	pause: (durationMs, stop) => pause(durationMs, undefined, { signal: stop }).catch(() => undefined),
	random: Math.random,
};
