import type { Reply } from "./transport.ts";

/** Conduits section 7.5; jitter so that a fleet does not come back all at once. */
const ATTEMPTS = 5;
const FIRST_MS = 2_000;
const LONGEST_MS = 60_000;
const LONGEST_TOLD_MS = 300_000;

export interface Waiting {
	/** Resolves after so long, or at once when `stop` is aborted. */
	pause(durationMs: number, stop: AbortSignal): Promise<void>;
	/** At least 0, below 1. */
	random(): number;
}

export function isRetryable(status: number): boolean {
	return status === 429 || status >= 500;
}

/**
 * Sends until there is an answer that is no "ask again". Resolves to that answer, or to undefined when the attempts are used up or
 * `stop` was aborted: then it was not delivered, as far as anybody knows.
 */
export async function delivered(
	send: () => Promise<Reply>,
	waiting: Waiting,
	stop: AbortSignal,
): Promise<Reply | undefined> {
	for (let attempt = 0; attempt < ATTEMPTS && !stop.aborted; attempt++) {
		const reply = await send().catch(() => undefined);
		if (reply !== undefined && !isRetryable(reply.status)) return reply;
		if (attempt + 1 < ATTEMPTS) await waiting.pause(delayMs(attempt, reply, waiting), stop);
	}
	return undefined;
}

function delayMs(attempt: number, reply: Reply | undefined, waiting: Waiting): number {
	const told = reply?.retryAfterSeconds ?? null;
	if (told !== null) return Math.min(told * 1000, LONGEST_TOLD_MS);
	const doubled = Math.min(FIRST_MS * 2 ** attempt, LONGEST_MS);
	return doubled * (0.75 + waiting.random() / 2);
}

const FAILURES_TO_OPEN = 5;
const FIRST_COOLDOWN_MS = 30_000;
const LONGEST_COOLDOWN_MS = 300_000;

/** Polls stop for a while when the control plane keeps failing: 30 s after five failures, doubled up to five minutes. */
export class CircuitBreaker {
	#failures = 0;
	#cooldownMs = FIRST_COOLDOWN_MS;

	/** How long to wait before the next poll; 0 when it is closed. */
	get waitMs(): number {
		return this.#failures >= FAILURES_TO_OPEN ? this.#cooldownMs : 0;
	}

	succeeded(): void {
		this.#failures = 0;
		this.#cooldownMs = FIRST_COOLDOWN_MS;
	}

	failed(): void {
		if (this.waitMs > 0) this.#cooldownMs = Math.min(this.#cooldownMs * 2, LONGEST_COOLDOWN_MS);
		this.#failures += 1;
	}
}
