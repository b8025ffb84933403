import type { Supervised } from "../../host/index.ts";

/** Hands on every request to end the run, named by the signal to send it, until the function that it returns is called. */
export type Cancels = (cancel: (signal: NodeJS.Signals) => void) => () => void;

export type StopReason = "timeout" | "output-limit" | "cancelled";

/** How long a command may take to end after it was asked to, before it is killed. */
const GRACE_MS = 5000;

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * What may end a run from outside: the clock, the output limit, whoever asked for it (gracefully; twice at once).
 * `reason` is the first that happened.
 */
export class Stopping {
	reason: StopReason | null = null;
	#signal: NodeJS.Signals | null = null;
	readonly #run: Supervised;
	readonly #timers: NodeJS.Timeout[] = [];
	readonly #ignoreCancels: () => void;
	readonly #say: (text: string) => void;

	constructor(run: Supervised, timeoutMs: number | null, cancels: Cancels, say: (text: string) => void) {
		this.#run = run;
		this.#say = say;
		this.#ignoreCancels = cancels((signal) => this.#cancel(signal));
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

	/** No timer is left, and no cancel is heard any more. */
	done(): void {
		for (const timer of this.#timers) clearTimeout(timer);
		this.#ignoreCancels();
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
