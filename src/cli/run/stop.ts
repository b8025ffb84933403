import type { Supervised } from "../../host/index.ts";

export type StopReason = "timeout" | "output-limit" | "cancelled";

/** How long a command may take to end after it was asked to, before it is killed. */
const GRACE_MS = 5000;

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * What may end a run from outside: the clock, the output limit, Ctrl-C (gracefully; twice at once), a termination signal.
 * `reason` is the first that happened.
 */
export class Stopping {
	reason: StopReason | null = null;
	#signal: NodeJS.Signals | null = null;
	readonly #run: Supervised;
	readonly #timers: NodeJS.Timeout[] = [];
	readonly #onSignal = (signal: NodeJS.Signals): void => this.#cancel(signal);
	readonly #say: (text: string) => void;

	constructor(run: Supervised, timeoutMs: number | null, say: (text: string) => void) {
		this.#run = run;
		this.#say = say;
		for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, this.#onSignal);
		if (timeoutMs !== null) this.#waitFor(timeoutMs);
	}

	/** The signal that cancelled the run, for its exit code. */
	get signal(): NodeJS.Signals | null {
		return this.#signal;
	}

	outputExhausted(): void {
		this.reason ??= "output-limit";
		this.#run.kill();
	}

	/** No timer and no handler is left. */
	done(): void {
		for (const timer of this.#timers) clearTimeout(timer);
		for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, this.#onSignal);
	}

	/** In steps, since one timer waits 24.8 days at most. */
	#waitFor(leftMs: number): void {
		const stepMs = Math.min(leftMs, LONGEST_TIMER_MS);
		const next = (): void => {
			if (leftMs > stepMs) this.#waitFor(leftMs - stepMs);
			else this.#ask("timeout", "SIGTERM", "time is up");
		};
		this.#timers.push(setTimeout(next, stepMs));
	}

	#cancel(signal: NodeJS.Signals): void {
		if (this.reason === null) {
			this.#signal = signal;
			this.#ask("cancelled", signal, "stopping; once more to kill it at once");
		} else {
			this.#run.kill();
		}
	}

	#ask(reason: StopReason, signal: NodeJS.Signals, words: string): void {
		if (this.reason !== null) return;
		this.reason = reason;
		this.#say(words);
		this.#run.signal(signal);
		this.#timers.push(setTimeout(() => this.#run.kill(), GRACE_MS));
	}
}
