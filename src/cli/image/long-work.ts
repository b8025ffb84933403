import { constants } from "node:os";
import { Progress, type Volume } from "./progress.ts";

/** What a signal throws out of the work it ends. */
export class Cancelled extends Error {
	/** As a shell shows it: 130 for Ctrl-C. */
	readonly exitCode: number;
	constructor(signal: NodeJS.Signals) {
		super(`cancelled by ${signal}`);
		this.exitCode = 128 + constants.signals[signal];
	}
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Work that shows how far it is and that a signal cancels: it clears up behind itself, and the exit code is the signal's. A
 * second one ends it at once, and the next start clears up.
 */
export async function longWork(
	volume: Volume,
	work: (signal: AbortSignal, progress: Progress) => Promise<number>,
): Promise<number> {
	const controller = new AbortController();
	const progress = new Progress(volume);
	const onSignal = (signal: NodeJS.Signals): void => {
		const cancelled = new Cancelled(signal);
		if (controller.signal.aborted) process.exit(cancelled.exitCode);
		progress.done();
		process.stderr.write("vouch: stopping, and clearing up; once more to stop at once\n");
		controller.abort(cancelled);
	};
	for (const signal of SIGNALS) process.on(signal, onSignal);
	try {
		return await work(controller.signal, progress);
	} catch (error) {
		// Whatever shape the interruption has by now: it is why the work ended.
		if (controller.signal.reason instanceof Cancelled) return controller.signal.reason.exitCode;
		throw error;
	} finally {
		progress.done();
		for (const signal of SIGNALS) process.off(signal, onSignal);
	}
}
