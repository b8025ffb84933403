import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { type Databases, onBothDatabases } from "../../../test/fleet/databases.ts";
import { backupStore, restoreStore } from "./backup.ts";
import { TABLES } from "./copy-rows.ts";
import { MIGRATIONS } from "./migration.ts";
import { openStore } from "./open.ts";
import { addFacility, addOwner, directiveRow } from "./sample-rows.ts";
import { addDirective, assertReadyRows, countOf, SampleStores, until } from "./sample-store.ts";
import type { Session, Store } from "./store.ts";
import type { Wake } from "./wake.ts";

onBothDatabases("the store", (databases) => {
	const stores = new SampleStores(() => databases.fresh());
	after(() => stores.close());
	migrationTests(databases, stores);
	transactionTests(databases, stores);
	if (databases.kind === "postgres") neighbourTests(stores);
	backupTests(databases, stores);
});

function migrationTests(databases: Databases, stores: SampleStores): void {
	test("a database is migrated once, however often and by however many it is opened", async () => {
		const url = databases.fresh();
		const [store] = await Promise.all([1, 2, 3, 4].map(() => stores.open(url)));
		if (store === undefined) throw new Error("it was opened");
		const rows = await store.read(({ db }) => db.selectFrom("schema_versions").selectAll().execute());
		assert.deepEqual(
			rows.map(({ version }) => version),
			MIGRATIONS.map(({ version }) => version),
		);
		const again = await stores.open(url);
		assert.deepEqual(await again.read(({ db }) => db.selectFrom("schema_versions").selectAll().execute()), rows);
	});

	test("a database of a newer version is opened as it is", async () => {
		const url = databases.fresh();
		const store = await stores.open(url);
		const newer = { version: 1_000_000, name: "newer", applied_at: 1 };
		await store.transaction(({ db }) => db.insertInto("schema_versions").values(newer).execute());
		const again = await stores.open(url);
		const rows = await again.read(({ db }) => db.selectFrom("schema_versions").select("version").execute());
		assert.equal(rows.length, MIGRATIONS.length + 1);
	});

	test("a column that a newer version adds meanwhile stops nobody who uses the table", async () => {
		const { url, store, owner } = await stores.setting();
		const other = await stores.open(url);
		const facilities = ({ db }: Session) =>
			db.selectFrom("facilities").selectAll().where("account_id", "=", owner.accountId).execute();
		assert.equal((await store.read(facilities)).length, 1);
		for (const [name, ask] of [
			["one", () => store.read(facilities)],
			["two", () => store.transaction(facilities)],
		] as const) {
			await other.transaction(({ db }) => sql`alter table facilities add column ${sql.ref(name)} text`.execute(db));
			const [facility] = await ask();
			assert.equal(facility !== undefined && name in facility, true);
		}
	});

	test("what can't be opened is refused without the password", async () => {
		for (const url of ["mysql://x", "sqlite:/dev/null/store.db", "postgres://me:hunter2@127.0.0.1:1/x"]) {
			const refused = await openStore(url).then(
				() => assert.fail(`${url} was opened`),
				(error: unknown) => String(error),
			);
			assert.match(refused, /could not be opened/);
			assert.doesNotMatch(refused, /hunter2/);
		}
	});
}

function transactionTests(databases: Databases, stores: SampleStores): void {
	test("a transaction that throws leaves nothing and wakes nobody", async () => {
		const { store } = await stores.setting();
		const heard: Wake[] = [];
		store.onWake((wake) => heard.push(wake));
		await assert.rejects(
			store.transaction(async (session) => {
				await addOwner(session);
				session.wake({ kind: "directive-changed", directiveId: "gone" });
				throw new Error("no");
			}),
			/no/,
		);
		assert.equal(await countOf(store, "accounts"), 1);
		await store.transaction(async (session) => session.wake({ kind: "directive-changed", directiveId: "there" }));
		await until(() => heard.length > 0);
		assert.deepEqual(heard, [{ kind: "directive-changed", directiveId: "there" }]);
	});

	test("a transaction that another one made impossible is begun anew; any other mistake is not", async () => {
		const { store } = await stores.setting();
		let attempts = 0;
		const heard: Wake[] = [];
		store.onWake((wake) => heard.push(wake));
		await store.transaction(async (session) => {
			attempts += 1;
			await addOwner(session);
			session.wake({ kind: "directive-changed", directiveId: "x" });
			if (attempts < 4) throw Object.assign(new Error("serialization"), { code: attempts === 1 ? "40001" : "40P01" });
		});
		assert.equal(attempts, 4);
		assert.equal(await countOf(store, "accounts"), 2);
		await until(() => heard.length > 0);
		await sleep(20);
		assert.equal(heard.length, 1);
		await assert.rejects(
			store.transaction(async () => {
				attempts += 1;
				throw new Error("mistake");
			}),
		);
		assert.equal(attempts, 5);
	});

	test("what was committed is there after the store was opened anew", async () => {
		const { url, store, facility } = await stores.setting();
		const other = await stores.open(url);
		const found = await other.read(({ db }) => db.selectFrom("facilities").select("id").execute());
		assert.deepEqual(
			found.map(({ id }) => id),
			[facility],
		);
		assert.equal(store.kind, databases.kind);
	});

	test("two control planes change the same rows without losing a change", async () => {
		const { url, store, facility } = await stores.setting();
		const other = await stores.open(url);
		const add = (each: Store) =>
			each.transaction(async ({ db, kind }) => {
				const query = db.selectFrom("facilities").select("size_bytes").where("id", "=", facility);
				const { size_bytes } = await (kind === "postgres" ? query.forUpdate() : query).executeTakeFirstOrThrow();
				await sleep(1);
				await db
					.updateTable("facilities")
					.set({ size_bytes: size_bytes + 1 })
					.where("id", "=", facility)
					.execute();
			});
		await Promise.all(Array.from({ length: 20 }, (_, index) => add(index % 2 === 0 ? store : other)));
		const { size_bytes } = await store.read(({ db }) =>
			db.selectFrom("facilities").select("size_bytes").where("id", "=", facility).executeTakeFirstOrThrow(),
		);
		assert.equal(size_bytes, 20);
	});
}

/** Any number of control planes on one PostgreSQL. */
function neighbourTests(stores: SampleStores): void {
	const wake: Wake = { kind: "command-dispatched", territoryId: "t", commandId: "c" };

	test("a wake-up is heard by every control plane once, also after its connection was lost", async () => {
		const { url, store } = await stores.setting();
		const other = await stores.open(url);
		const heard = { here: 0, there: 0 };
		store.onWake(() => (heard.here += 1));
		const stop = other.onWake(() => (heard.there += 1));
		await store.transaction(async (session) => session.wake(wake));
		await until(() => heard.here === 1 && heard.there === 1);
		const listeners = sql`select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN%'
			and datname = current_database()`;
		await store.read(({ db }) => listeners.execute(db));
		await until(async () => {
			await store.transaction(async (session) => session.wake(wake));
			return heard.here > 1 && heard.there > 1;
		});
		stop();
		const before = heard.there;
		await store.transaction(async (session) => session.wake(wake));
		await sleep(50);
		assert.equal(heard.there, before);
	});

	test("a thousand wake-ups of one transaction are heard elsewhere, each once and in their order", async () => {
		const { url, store } = await stores.setting();
		const other = await stores.open(url);
		const heard: Wake[] = [];
		other.onWake((each) => heard.push(each));
		const told = Array.from({ length: 1_000 }, (_, at): Wake => ({ ...wake, commandId: `c${at}` }));
		await store.transaction(async (session) => told.forEach(session.wake));
		await until(() => heard.length >= told.length);
		assert.deepEqual(heard, told);
	});

	test("rows are found by an index, also by what is planned while there are none", async () => {
		const store = await stores.open();
		const { rows } = await store.read(({ db }) =>
			sql<{ "QUERY PLAN": string }>`explain select f.id from facilities as f
				inner join json_populate_recordset(null::facilities, ${"[]"}) as given on given.id = f.id`.execute(db),
		);
		const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
		assert.match(plan, /Index/);
		assert.doesNotMatch(plan, /Seq Scan|Hash Join|Merge Join/);
	});

	test("what isn't a wake-up of ours is nothing to the listeners", async () => {
		const { store } = await stores.setting();
		const heard: Wake[] = [];
		store.onWake((each) => heard.push(each));
		for (const payload of ["", "null", "[]", "nonsense", '{"other":1}'])
			await store.read(({ db }) => sql`select pg_notify('vouch_wake', ${payload})`.execute(db));
		await store.transaction(async (session) => session.wake(wake));
		await until(() => heard.length > 0);
		assert.deepEqual(heard, [wake]);
	});

	test("two transactions that lock each other out are both done in the end", async () => {
		const { url, store, owner, facility } = await stores.setting();
		const other = await stores.open(url);
		const second = await store.transaction((session) => addFacility(session, owner));
		const both = (each: Store, ids: readonly string[]) =>
			each.transaction(async ({ db }) => {
				for (const id of ids) {
					await sql`update facilities set size_bytes = size_bytes + 1 where id = ${id}`.execute(db);
					await sleep(30);
				}
			});
		await Promise.all([both(store, [facility, second]), both(other, [second, facility])]);
		const sizes = await store.read(({ db }) => db.selectFrom("facilities").select("size_bytes").execute());
		assert.deepEqual(
			sizes.map(({ size_bytes }) => size_bytes),
			[2, 2],
		);
	});
}

function backupTests(databases: Databases, stores: SampleStores): void {
	const scratch = () => mkdtempSync(join(tmpdir(), "vouch-test-backup-"));

	test("a backup taken while the store is written to is one moment of it, and restores whole", async (t) => {
		const { url, store, owner } = await stores.setting();
		const home = scratch();
		t.after(() => rmSync(home, { recursive: true, force: true }));
		const add = () =>
			store.transaction(async (session) => {
				const facilityId = await addFacility(session, owner);
				for (let index = 0; index < 3; index++) await addDirective(session, directiveRow(session, owner, facilityId));
			});
		await add();
		const writing = Promise.all(Array.from({ length: 20 }, add));
		const contents = await backupStore(url, join(home, "backup.db"));
		await writing;
		assert.equal(contents.directives % 3, 0);
		await assert.rejects(backupStore(url, join(home, "backup.db")), /nothing is overwritten/);

		const restored = databases.kind === "postgres" ? databases.fresh() : `sqlite:${join(home, "store.db")}`;
		assert.equal((await restoreStore(join(home, "backup.db"), restored)).directives, contents.directives);
		await assert.rejects(restoreStore(join(home, "backup.db"), restored), /nothing is overwritten/);
		const again = await openStore(restored);
		t.after(() => again.close());
		assert.equal(await countOf(again, "directives"), contents.directives);
		await again.read((session) => assertReadyRows(session));
		assert.deepEqual(await rowsOf(again, "users"), await rowsOf(store, "users"));
	});

	test("every table is copied", async () => {
		const { store } = await stores.setting();
		const { rows } = await store.read(({ db }) =>
			(databases.kind === "postgres"
				? sql<{ name: string }>`select table_name as name from information_schema.tables where table_schema = 'public'`
				: sql<{ name: string }>`select name from sqlite_master where type = 'table'`
			).execute(db),
		);
		const names = rows.map(({ name }) => name).filter((name) => name !== "schema_versions");
		assert.deepEqual([...TABLES].sort(), names.sort());
	});

	if (databases.kind === "postgres") return;

	test("a damaged, foreign or newer backup is refused, and nothing is put in its place", async (t) => {
		const { url, store } = await stores.setting();
		const home = scratch();
		t.after(() => rmSync(home, { recursive: true, force: true }));
		const good = join(home, "good.db");
		await backupStore(url, good);
		const damaged = join(home, "damaged.db");
		const bytes = readFileSync(good);
		bytes.fill(0xa5, 4096, 12_288);
		writeFileSync(damaged, bytes);
		writeFileSync(join(home, "text.db"), "not a database at all");
		await store.transaction(({ db }) =>
			db.insertInto("schema_versions").values({ version: 999, name: "newer", applied_at: 1 }).execute(),
		);
		// A newer store is backed up by the newer program.
		await assert.rejects(backupStore(url, join(home, "newer.db")), /version 999/);
		const target = join(home, "store.db");
		for (const name of ["damaged.db", "text.db", "newer.db", "none.db"])
			await assert.rejects(restoreStore(join(home, name), `sqlite:${target}`), /can't be used as a store/, name);
		assert.equal(existsSync(target), false);
	});
}

function rowsOf(store: Store, table: "users") {
	return store.read(({ db }) => db.selectFrom(table).selectAll().orderBy("id").execute());
}
