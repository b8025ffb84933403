import assert from "node:assert/strict";
import { after, test } from "node:test";
import { onBothDatabases } from "../../../test/fleet/databases.ts";
import { MIGRATIONS } from "./migration.ts";
import { openStore } from "./open.ts";
import { claimable } from "./queue.ts";
import { addFacility, addOwner, addTerritory, directiveRow } from "./sample-rows.ts";
import { SampleStores } from "./sample-store.ts";
import type { Store } from "./store.ts";

onBothDatabases("two versions on one database", (databases) => {
	const stores = new SampleStores(() => databases.fresh());
	after(() => stores.close());

	for (const { version, name } of MIGRATIONS.slice(0, -1)) {
		test(`what a program of version ${version} (${name}) reads and writes is still there and taken`, async () => {
			const url = databases.fresh();
			const old = await openStore(url, Date.now, MIGRATIONS.slice(0, version));
			const before = await tablesOf(old);
			const store = await stores.open(url);
			const now = await tablesOf(store);
			for (const [table, columns] of before) {
				const later = now.get(table) ?? assert.fail(`the table ${table} is gone`);
				for (const column of columns.keys()) assert.ok(later.has(column), `${table}.${column} is gone`);
				for (const [column, { isNullable, hasDefaultValue }] of later)
					assert.ok(columns.has(column) || isNullable || hasDefaultValue, `${table}.${column} must be written`);
			}
			const known = before.get("directives") ?? assert.fail();
			const claim = await old.transaction(async (session) => {
				const owner = await addOwner(session);
				const row = directiveRow(session, owner, await addFacility(session, owner), { ready: 1 });
				const theirs = Object.fromEntries(Object.entries(row).filter(([column]) => known.has(column)));
				await session.db
					.insertInto("directives")
					.values(theirs as typeof row)
					.execute();
				return { accountId: owner.accountId, most: new Map([[await addTerritory(session, owner), 1]]), id: row.id };
			});
			await old.close();
			const terms = { profiles: ["untrusted"], runs: "specifications" } as const;
			const found = await store.transaction((session) => claimable(session, { ...claim, ...terms }));
			assert.deepEqual(
				found.map(({ directive }) => directive.id),
				[claim.id],
			);
		});
	}
});

async function tablesOf(store: Store) {
	const tables = await store.read(({ db }) => db.introspection.getTables());
	return new Map(tables.map(({ name, columns }) => [name, new Map(columns.map((column) => [column.name, column]))]));
}
