/** A few pieces of work at a time. The first failure stops what has not begun and cancels what has. */
export class Lanes {
	readonly #most: number;
	readonly #running = new Set<Promise<void>>();
	readonly #controller = new AbortController();
	#failure: { readonly error: unknown } | undefined;

	constructor(most: number) {
		this.#most = most;
	}

	/** Aborted by the first failure. */
	get signal(): AbortSignal {
		return this.#controller.signal;
	}

	/** Waits for a free lane and begins. Throws the first failure of any lane. */
	async begin(work: () => Promise<void>): Promise<void> {
		while (this.#failure === undefined && this.#running.size >= this.#most) await Promise.race(this.#running);
		if (this.#failure !== undefined) return this.finish();
		const running: Promise<void> = work()
			.catch((error: unknown) => this.#fail(error))
			.finally(() => this.#running.delete(running));
		this.#running.add(running);
	}

	/** Waits for all; throws the first failure. */
	async finish(): Promise<void> {
		await Promise.all(this.#running);
		if (this.#failure !== undefined) throw this.#failure.error;
	}

	/** Ends everything for a reason from outside of the lanes, which `finish` then throws. */
	#fail(error: unknown): void {
		this.#failure ??= { error };
		this.#controller.abort(error);
	}

	async cancel(error: unknown): Promise<never> {
		this.#fail(error);
		await Promise.all(this.#running);
		throw this.#failure?.error;
	}
}
