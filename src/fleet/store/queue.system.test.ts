import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { CompiledQuery, sql } from "kysely";
import { type Databases, onBothDatabases } from "../../../test/fleet/databases.ts";
import { newId } from "../../core/index.ts";
import { type Claim, change, claimable, expired, heldBy, lease, lockDirective, readyOf } from "./queue.ts";
import { addFacility, addOwner, addTerritory, directiveRow, type Owner } from "./sample-rows.ts";
import { addDirective, assertReadyRows, SampleStores } from "./sample-store.ts";
import type { Session, Store } from "./store.ts";

const LEASE_MS = 300_000;

onBothDatabases("the queue", (databases) => {
	const stores = new SampleStores(() => databases.fresh());
	after(() => stores.close());
	queueTests(stores, databases);
});

function queueTests(stores: SampleStores, databases: Databases): void {
	test("of each facility that nobody holds one directive is ready, the first of those that wait, and never another", async () => {
		const { store, owner, territory } = await stores.setting();
		const facilities = await store.transaction(async (session) => [
			await addFacility(session, owner),
			await addFacility(session, owner),
		]);
		const step = fc.record({
			what: fc.constantFrom("add", "await", "claim", "start", "finish", "cancel", "expire", "retry", "approve"),
			which: fc.nat(40),
			priority: fc.integer({ min: -2, max: 2 }),
		});
		const scenario = fc.array(step, { minLength: 5, maxLength: 60 });
		await fc.assert(
			fc.asyncProperty(scenario, async (steps) => {
				for (const { what, which, priority } of steps) {
					const facilityId = facilities[which % facilities.length] ?? "";
					await store.transaction((session) => take(session, { what, which, priority, facilityId, owner, territory }));
					await store.read((session) => assertReadyRows(session));
				}
			}),
			{ numRuns: databases.kind === "sqlite" ? 60 : 25 },
		);
	});

	test("no directive is given to two claims, whoever asks and however many at once", async () => {
		const { url, store, owner } = await stores.setting();
		const both = [store, await stores.open(url)];
		const territories = await store.transaction(async (session) => {
			for (let index = 0; index < 30; index++) {
				const facilityId = await addFacility(session, owner);
				for (let each = 0; each < 3; each++)
					await addDirective(session, directiveRow(session, owner, facilityId, { priority: each % 2 }));
			}
			return Promise.all(Array.from({ length: 8 }, () => addTerritory(session, owner)));
		});
		const given: string[] = [];
		const holders = new Map<string, string>();
		const work = async (territoryId: string, mine: Store): Promise<void> => {
			for (let empty = 0; empty < 5; ) {
				const leased = await mine.transaction((session) => claimAll(session, owner, territoryId, 3));
				empty = leased.length === 0 ? empty + 1 : 0;
				for (const { id, facility_id } of leased) {
					given.push(id);
					assert.equal(holders.get(facility_id), undefined, "two writers in one facility");
					holders.set(facility_id, id);
				}
				await sleep(1);
				for (const { id, facility_id } of leased) {
					holders.delete(facility_id);
					await mine.transaction((session) => finish(session, id));
				}
			}
		};
		await Promise.all(territories.map((id, index) => work(id, both[index % 2] ?? store)));
		assert.equal(given.length, 90);
		assert.equal(new Set(given).size, 90);
		await store.read((session) => assertReadyRows(session));
	});

	test("the highest priority comes first, then the oldest; profiles that a territory lacks are left", async () => {
		const { store, owner, territory } = await stores.setting();
		const asked: ReadonlyArray<readonly [number, string]> = [
			[0, "untrusted"],
			[5, "untrusted"],
			[9, "host"],
			[5, "trusted"],
			[-1, "untrusted"],
		];
		const ids: string[] = [];
		for (const [priority, sandbox_profile] of asked) {
			ids.push(
				await store.transaction(async (session) => {
					const row = directiveRow(session, owner, await addFacility(session, owner), { priority, sandbox_profile });
					await addDirective(session, row);
					return row.id;
				}),
			);
		}
		const terms = { accountId: owner.accountId, profiles: ["untrusted", "trusted"], runs: "workloads" } as const;
		const claimed = (most: number, others: Partial<Claim> = {}) =>
			store.transaction((session) => claimable(session, { ...terms, most: new Map([[territory, most]]), ...others }));
		assert.deepEqual(
			(await claimed(10)).map(({ directive }) => ids.indexOf(directive.id)),
			[1, 3, 0, 4],
		);
		assert.deepEqual(await claimed(10, { profiles: [] }), []);
		assert.deepEqual(await claimed(0), []);
		assert.equal((await claimed(2)).length, 2);
		assert.deepEqual(await claimed(10, { accountId: newId(Date.now()) }), []);
	});

	test("several that ask together get what is there, each what it may have and no more than it wants", async () => {
		const { store, owner, territory } = await stores.setting();
		const [first, second] = await store.transaction(async (session) => {
			// Those bound to the first stand before what anybody may have.
			for (let count = 0; count < 6; count++) {
				const bound = await addFacility(session, owner, { territoryId: territory });
				await addDirective(session, directiveRow(session, owner, bound, { priority: 1 }));
			}
			for (let count = 0; count < 3; count++)
				await addDirective(session, directiveRow(session, owner, await addFacility(session, owner)));
			return [territory, await addTerritory(session, owner)];
		});
		const most = new Map([
			[first, 2],
			[second, 2],
		]);
		const terms = { accountId: owner.accountId, profiles: ["untrusted"], runs: "specifications", most } as const;
		const claimed = await store.transaction((session) => claimable(session, terms));
		assert.equal(new Set(claimed.map(({ directive }) => directive.id)).size, 4);
		const shares = Map.groupBy(claimed, ({ territoryId }) => territoryId);
		assert.deepEqual(
			shares.get(first)?.map(({ directive }) => directive.priority),
			[1, 1],
		);
		assert.deepEqual(
			shares.get(second)?.map(({ directive }) => directive.priority),
			[0, 0],
		);
	});

	test("a claim reads the index of what is ready, and nothing that waits behind", async () => {
		const { store, owner, territory } = await stores.setting();
		await store.transaction(async (session) => {
			const busy = await addFacility(session, owner);
			for (let count = 0; count < 300; count++) await addDirective(session, directiveRow(session, owner, busy));
		});
		if (store.kind === "postgres") await store.transaction(({ db }) => sql`analyze directives`.execute(db));
		const { accountId } = owner;
		const plan = await store.transaction(async (session) => {
			const claim = { accountId, territoryIds: [territory], runs: "specifications", limit: 5, seen: [] } as const;
			const query = readyOf(session, claim, "untrusted").compile();
			const explain = store.kind === "sqlite" ? "explain query plan" : "explain";
			return session.db.executeQuery(CompiledQuery.raw(`${explain} ${query.sql}`, [...query.parameters]));
		});
		assert.match(JSON.stringify(plan.rows), /using(?: index)? directives_ready\b/i);
	});

	test("a facility bound to a territory gives its directives to that one alone", async () => {
		const { store, owner, territory } = await stores.setting();
		const bound = await store.transaction(async (session) => {
			const facilityId = await addFacility(session, owner, { territoryId: territory });
			await addDirective(session, directiveRow(session, owner, facilityId));
			return addTerritory(session, owner);
		});
		assert.deepEqual(await store.transaction((session) => claimAll(session, owner, bound, 5)), []);
		assert.equal((await store.transaction((session) => claimAll(session, owner, territory, 5))).length, 1);
		assert.deepEqual([...(await store.read((session) => heldBy(session, [territory, bound])))], [[territory, 1]]);
	});

	test("a holder that is silent for longer than its lease is found, the longest silent first", async () => {
		let nowMs = 1_800_000_000_000;
		const store = await stores.open(databases.fresh(), () => nowMs);
		const leased: string[] = [];
		for (let index = 0; index < 3; index++) {
			nowMs += 1000;
			await store.transaction(async (session) => {
				const owner = await addOwner(session);
				await addDirective(session, directiveRow(session, owner, await addFacility(session, owner)));
				for (const { id } of await claimAll(session, owner, await addTerritory(session, owner), 1)) leased.push(id);
			});
		}
		nowMs += LEASE_MS - 1000;
		assert.deepEqual(await store.read((session) => expired(session, 10)), leased.slice(0, 1));
		nowMs += 60_000;
		assert.deepEqual(await store.read((session) => expired(session, 10)), leased);
		assert.deepEqual(await store.read((session) => expired(session, 2)), leased.slice(0, 2));
	});

	test("an event that can't happen is refused, and nothing is stored", async () => {
		const { store, owner, facility } = await stores.setting();
		const row = await store.transaction(async (session) => {
			const made = directiveRow(session, owner, facility);
			await addDirective(session, made);
			return made;
		});
		for (const event of ["start", "succeed", "approve", "reject", "expire_lease", "retry"] as const) {
			const happens = store.transaction(async (session) => {
				const directive = await lockDirective(session, row.id);
				return change(session, directive ?? assert.fail("it is there"), event, { exit_code: 9 });
			});
			await assert.rejects(happens, TypeError);
		}
		const [kept] = await store.read(({ db }) => db.selectFrom("directives").selectAll().execute());
		assert.equal(kept?.state, "queued");
		assert.equal(kept?.exit_code, null);
		assert.equal(await store.transaction((session) => lockDirective(session, "nothing")), undefined);
	});
}

interface Step {
	readonly what: string;
	readonly which: number;
	readonly priority: number;
	readonly facilityId: string;
	readonly owner: Owner;
	readonly territory: string;
}

/** One thing that may happen; nothing when it can't. */
async function take(session: Session, step: Step): Promise<void> {
	const { what, which, priority, facilityId, owner, territory } = step;
	if (what === "add" || what === "await") {
		const state = what === "add" ? "queued" : "awaiting_approval";
		return addDirective(session, directiveRow(session, owner, facilityId, { priority, state }));
	}
	if (what === "claim") {
		await claimAll(session, owner, territory, 1 + (which % 3));
		return;
	}
	const events = {
		start: ["leased", "start"],
		finish: ["running", "succeed"],
		expire: ["leased", "expire_lease"],
		retry: ["running", "retry"],
		approve: ["awaiting_approval", "approve"],
	} as const;
	const [from, event] = what === "cancel" ? ([undefined, "cancel"] as const) : events[what as keyof typeof events];
	let query = session.db.selectFrom("directives").select("id").where("facility_id", "=", facilityId);
	query =
		from === undefined
			? query.where("state", "in", ["queued", "awaiting_approval", "leased", "running"])
			: query.where("state", "=", from);
	const ids = await query.orderBy("id").execute();
	const chosen = ids[which % Math.max(1, ids.length)];
	const directive = chosen === undefined ? undefined : await lockDirective(session, chosen.id);
	if (directive !== undefined) await change(session, directive, event);
}

async function claimAll(session: Session, owner: Owner, territoryId: string, most: number) {
	const terms = { accountId: owner.accountId, profiles: ["untrusted"], runs: "specifications" } as const;
	const found = await claimable(session, { ...terms, most: new Map([[territoryId, most]]) });
	const expiresAt = session.nowMs + LEASE_MS;
	return lease(
		session,
		found.map(({ directive }) => ({ directive, territoryId, leaseId: newId<string>(session.nowMs), expiresAt })),
	);
}

async function finish(session: Session, directiveId: string): Promise<void> {
	const directive = (await lockDirective(session, directiveId)) ?? assert.fail("it is there");
	await change(session, await change(session, directive, "start"), "succeed");
}
