import type { Store } from "../../src/fleet/index.ts";
import type { Random } from "./random.ts";

type Session = Parameters<Parameters<Store["transaction"]>[0]>[0];

/** The control plane died here. What its transactions had committed stays; whoever asked hears nothing. */
export class Crash extends Error {
	constructor(faults: Faults) {
		super("the control plane died");
		faults.crashes += 1;
	}
}

/** Out of a hundred transactions. */
export interface Faults {
	random: Random;
	crashPercent: number;
	/** So often it died until now. */
	crashes: number;
	/** A broken rule, for which the simulation must fail: an answer is given for what was never committed. */
	forgetPercent: number;
}

/** A store whose control plane dies before, during and after its transactions: each is whole or nothing, and so it must be. */
export class FaultyStore implements Store {
	readonly #store: Store;
	readonly #faults: Faults;

	constructor(store: Store, faults: Faults) {
		this.#store = store;
		this.#faults = faults;
	}

	get kind() {
		return this.#store.kind;
	}

	read<T>(look: (session: Session) => Promise<T>): Promise<T> {
		return this.#store.read(look);
	}

	async transaction<T>(change: (session: Session) => Promise<T>): Promise<T> {
		const { random, crashPercent, forgetPercent } = this.#faults;
		if (random.percent(forgetPercent)) return this.#forget(change);
		const when = random.percent(crashPercent) ? random.below(3) : -1;
		if (when === 0) throw new Crash(this.#faults);
		const result = await this.#store.transaction(async (session) => {
			const changed = await change(session);
			if (when === 1) throw new Crash(this.#faults);
			return changed;
		});
		if (when === 2) throw new Crash(this.#faults);
		return result;
	}

	onWake(listener: Parameters<Store["onWake"]>[0]): () => void {
		return this.#store.onWake(listener);
	}

	close(): Promise<void> {
		return this.#store.close();
	}

	async #forget<T>(change: (session: Session) => Promise<T>): Promise<T> {
		const told: { answer?: T } = {};
		await this.#store
			.transaction(async (session) => {
				told.answer = await change(session);
				throw new Crash(this.#faults);
			})
			.catch((error: unknown) => {
				if (!(error instanceof Crash)) throw error;
			});
		return told.answer as T;
	}
}
