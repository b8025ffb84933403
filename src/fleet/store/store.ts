import type { Kysely } from "kysely";
import { isOutdated } from "./dialects/prepared-client.ts";
import type { Tables } from "./tables.ts";
import type { Wake, WakeListener, Wakes } from "./wake.ts";

export type StoreKind = "sqlite" | "postgres";

/** A transaction, or the database outside of one: what repositories are functions of. */
export interface Session {
	readonly db: Kysely<Tables>;
	readonly kind: StoreKind;
	/** Milliseconds since 1970, the same throughout a transaction. */
	readonly nowMs: number;
	/** Told to every control plane when the transaction is committed, and never when it isn't. */
	wake(wake: Wake): void;
}

/**
 * Everything that must not be lost. What a transaction did is durable when `transaction` returns; when it throws, nothing of it
 * happened.
 */
export interface Store {
	readonly kind: StoreKind;
	/** One look at the database, without the promise that two looks fit together. */
	read<T>(look: (session: Session) => Promise<T>): Promise<T>;
	transaction<T>(change: (session: Session) => Promise<T>): Promise<T>;
	onWake(listener: WakeListener): () => void;
	close(): Promise<void>;
}

/** What another transaction made impossible is begun anew so often. */
const MAX_ATTEMPTS = 10;

export class KyselyStore implements Store {
	readonly kind: StoreKind;
	readonly #db: Kysely<Tables>;
	readonly #wakes: Wakes;
	readonly #nowMs: () => number;

	constructor(kind: StoreKind, db: Kysely<Tables>, wakes: Wakes, nowMs: () => number) {
		this.kind = kind;
		this.#db = db;
		this.#wakes = wakes;
		this.#nowMs = nowMs;
	}

	read<T>(look: (session: Session) => Promise<T>): Promise<T> {
		const wake = (): never => {
			throw new TypeError("a wake-up belongs to a transaction");
		};
		return retried(() => look({ db: this.#db, kind: this.kind, nowMs: this.#nowMs(), wake }), isOutdated);
	}

	transaction<T>(change: (session: Session) => Promise<T>): Promise<T> {
		return retried(() => this.#attempt(change), isTransient);
	}

	onWake(listener: WakeListener): () => void {
		return this.#wakes.listen(listener);
	}

	async close(): Promise<void> {
		await this.#wakes.close();
		await this.#db.destroy();
	}

	async #attempt<T>(change: (session: Session) => Promise<T>): Promise<T> {
		const wakes: Wake[] = [];
		const result = await this.#db.transaction().execute(async (tx) => {
			const session: Session = { db: tx, kind: this.kind, nowMs: this.#nowMs(), wake: (wake) => wakes.push(wake) };
			return change(session);
		});
		for (const wake of wakes) this.#wakes.tell(wake);
		return result;
	}
}

/** Thrown inside a transaction that must begin anew because another one was quicker. */
export class Overtaken extends Error {
	constructor() {
		super("another transaction was quicker");
	}
}

async function retried<T>(act: () => Promise<T>, isWorthIt: (error: unknown) => boolean): Promise<T> {
	for (let attempt = 1; ; attempt++) {
		try {
			return await act();
		} catch (error) {
			if (attempt >= MAX_ATTEMPTS || !isWorthIt(error)) throw error;
		}
	}
}

/** Nothing of it happened, and it may go well now: PostgreSQL 40001, 40P01, 23505. */
function isTransient(error: unknown): boolean {
	if (error instanceof Overtaken || isOutdated(error)) return true;
	const code = error instanceof Error && "code" in error ? error.code : undefined;
	return code === "40001" || code === "40P01" || code === "23505";
}
