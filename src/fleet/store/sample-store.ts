import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "./open.ts";
import { addDirectives, lockFacilities } from "./queue.ts";
import { addFacility, addOwner, addTerritory, type Owner } from "./sample-rows.ts";
import type { Session, Store } from "./store.ts";
import type { DirectiveRow, Tables } from "./tables.ts";

/** Stores for tests: opened as they are asked for, closed together. */
export class SampleStores {
	readonly #fresh: () => string;
	readonly #opened: Store[] = [];

	/** `fresh` gives the URL of an empty database. */
	constructor(fresh: () => string) {
		this.#fresh = fresh;
	}

	async open(url: string = this.#fresh(), nowMs: () => number = Date.now): Promise<Store> {
		const store = await openStore(url, nowMs);
		this.#opened.push(store);
		return store;
	}

	/** A new database with an account, a territory and a facility. */
	async setting(): Promise<Setting> {
		const url = this.#fresh();
		const store = await this.open(url);
		const made = await store.transaction(async (session) => {
			const owner = await addOwner(session);
			return { owner, territory: await addTerritory(session, owner), facility: await addFacility(session, owner) };
		});
		return { url, store, ...made };
	}

	async close(): Promise<void> {
		for (const store of this.#opened) await store.close();
	}
}

/** As a request would add it: its facility is locked first. */
export async function addDirective(session: Session, row: DirectiveRow): Promise<void> {
	await addDirectives(session, [row], await lockFacilities(session, [row.facility_id]));
}

export interface Setting {
	readonly url: string;
	readonly store: Store;
	readonly owner: Owner;
	readonly territory: string;
	readonly facility: string;
}

/** At most one directive of a facility is ready, the first that waits, and none while somebody holds it. */
export async function assertReadyRows({ db }: Session): Promise<void> {
	const facilities = await db.selectFrom("facilities").selectAll().execute();
	const directives = await db.selectFrom("directives").selectAll().execute();
	for (const facility of facilities) {
		const mine = directives.filter(({ facility_id }) => facility_id === facility.id);
		const held = mine.filter(({ state }) => state === "leased" || state === "running").map(({ id }) => id);
		const locks = facility.locked_by_directive_id === null ? [] : [facility.locked_by_directive_id];
		assert.deepEqual(held, locks, "the lock of a facility and the directive that runs in it");
		const waiting = mine
			.filter(({ state }) => state === "queued")
			.sort((a, b) => b.priority - a.priority || (a.id < b.id ? -1 : 1));
		const ready = mine.filter((directive) => directive.ready === 1).map(({ id }) => id);
		assert.deepEqual(ready, held.length > 0 ? [] : waiting.slice(0, 1).map(({ id }) => id), "ready rows");
	}
}

export async function countOf(store: Store, table: keyof Tables): Promise<number> {
	const { count } = await store.read(({ db }) =>
		db
			.selectFrom(table)
			.select(({ fn }) => fn.countAll<number>().as("count"))
			.executeTakeFirstOrThrow(),
	);
	return Number(count);
}

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
	const end = performance.now() + 10_000;
	while (!(await holds())) {
		if (performance.now() > end) assert.fail("it never came");
		await sleep(5);
	}
}
