import assert from "node:assert/strict";
import { after, test } from "node:test";
import { onBothDatabases } from "../../../test/fleet/databases.ts";
import { addOwner } from "./sample-rows.ts";
import { countOf, SampleStores } from "./sample-store.ts";
import type { Session, Store } from "./store.ts";
import { together } from "./together.ts";

onBothDatabases("requests served together", (databases) => {
	const stores = new SampleStores(() => databases.fresh());
	after(() => stores.close());

	test("those that wait share a transaction, and each has its own answer", async () => {
		const store = await stores.open();
		const groups: number[] = [];
		const ask = together("transaction", async (session, numbers: readonly number[]) => {
			groups.push(numbers.length);
			for (const _ of numbers) await addOwner(session);
			return numbers.map((number) => number * 2);
		});
		const answers = await Promise.all(Array.from({ length: 120 }, (_, number) => ask(store, number)));
		assert.deepEqual(
			answers,
			answers.map((_, number) => number * 2),
		);
		assert.deepEqual(groups, [50, 50, 20]);
		assert.equal(await countOf(store, "accounts"), 120);
	});

	test("two of one name are never in a group", async () => {
		const store = await stores.open();
		const groups: string[] = [];
		const serve = async (_: Session, names: readonly string[]) => {
			groups.push(names.join(" "));
			return names;
		};
		const ask = together("transaction", serve, (name) => name);
		await Promise.all(["a", "b", "a", "c", "a"].map((name) => ask(store, name)));
		assert.deepEqual(groups, ["a b c", "a", "a"]);
	});

	test("who spoils a group gets the error alone, and what came with it is served", async () => {
		const store = await stores.open();
		const ask = together("transaction", async (session, numbers: readonly number[]) => {
			for (const _ of numbers) await addOwner(session);
			if (numbers.includes(3)) throw new Error("three");
			return numbers.map((number) => (number === 5 ? new Error("five") : number));
		});
		const settled = await Promise.allSettled([1, 2, 3, 4, 5].map((number) => ask(store, number)));
		const shown = settled.map((one) => (one.status === "fulfilled" ? one.value : String(one.reason)));
		assert.deepEqual(shown, [1, 2, "Error: three", 4, "Error: five"]);
		// What was done for an answer that is an error stays.
		assert.equal(await countOf(store, "accounts"), 4);
	});

	test("when nobody knows whether a group was committed, it is not served again", async () => {
		const store = await stores.open();
		let served = 0;
		const ask = together("transaction", async (session, numbers: readonly number[]) => {
			served += 1;
			for (const _ of numbers) await addOwner(session);
			return numbers;
		});
		const forgetful: Store = {
			kind: store.kind,
			read: (look) => store.read(look),
			onWake: (listener) => store.onWake(listener),
			close: () => store.close(),
			transaction: async (change) => {
				await store.transaction(change);
				throw new Error("the connection is gone");
			},
		};
		const settled = await Promise.allSettled([1, 2].map((number) => ask(forgetful, number)));
		assert.deepEqual(
			settled.map(({ status }) => status),
			["rejected", "rejected"],
		);
		assert.equal(served, 1);
		assert.equal(await countOf(store, "accounts"), 2);
	});
});
