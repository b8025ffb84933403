import type { Cancels } from "../../runtime/index.ts";

/** Ctrl-C, a closed terminal, and being asked to end: all of them cancel the run. */
export const terminationSignals: Cancels = (cancel) => {
	const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
	for (const name of names) process.on(name, cancel);
	return () => {
		for (const name of names) process.off(name, cancel);
	};
};
