import { setTimeout as sleep } from "node:timers/promises";
import { type Patience, WORTH_A_TRY_BYTES } from "./limits.ts";

/** Something that may go better on another try: a lost connection, a registry that is busy. */
export class Setback extends Error {
	/** What the registry asked us to wait. */
	readonly pauseMs: number | undefined;
	/** Bytes that this try brought nearer the goal. */
	readonly gainedBytes: number;
	constructor(reason: string, details: { pauseMs?: number | undefined; gainedBytes?: number; cause?: unknown } = {}) {
		super(reason, { cause: details.cause });
		this.pauseMs = details.pauseMs;
		this.gainedBytes = details.gainedBytes ?? 0;
	}
}

/** The last setback, when patience is at its end. */
export class GivenUp extends Error {
	readonly tries: number;
	constructor(reason: string, tries: number, cause: unknown) {
		super(reason, { cause });
		this.tries = tries;
	}
}

/** Works until it is done, fails for good, or has got nowhere `patience.tries` times in a row. */
export async function persist<T>(
	work: () => Promise<T>,
	{ patience, signal }: { readonly patience: Patience; readonly signal?: AbortSignal | undefined },
): Promise<T> {
	let fruitless = 0;
	for (let tries = 1; ; tries += 1) {
		signal?.throwIfAborted();
		try {
			return await work();
		} catch (error) {
			signal?.throwIfAborted();
			if (!(error instanceof Setback)) throw error;
			fruitless = error.gainedBytes >= WORTH_A_TRY_BYTES ? 0 : fruitless + 1;
			if (fruitless >= patience.tries) throw new GivenUp(error.message, tries, error);
			const grown = patience.pauseMs * 2 ** Math.max(0, fruitless - 1);
			// Up to a quarter more, so that many clients of one registry don't come back together.
			const own = Math.min(grown, patience.longestPauseMs) * (1 + Math.random() / 4);
			await sleep(
				Math.min(Math.max(own, error.pauseMs ?? 0), 4 * patience.longestPauseMs),
				undefined,
				signal && { signal },
			);
		}
	}
}
