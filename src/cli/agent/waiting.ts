import type { Waiting } from "../../agent/index.ts";

export const realWaiting: Waiting = {
	pause(durationMs, stop) {
		if (stop.aborted) return Promise.resolve();
		return new Promise((resolve) => {
			const end = (): void => {
				clearTimeout(timer);
				stop.removeEventListener("abort", end);
				resolve();
			};
			const timer = setTimeout(end, durationMs);
			stop.addEventListener("abort", end, { once: true });
		});
	},
	random: Math.random,
};
