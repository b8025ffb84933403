import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { builtInModules, loadOrder, type ModuleSource } from "./module-order.ts";
import { KernelRefusal } from "./refusal.ts";

function sourceOf(
	depends: Readonly<Record<string, readonly string[]>>,
	soft: typeof depends = {},
	builtIn: readonly string[] = [],
) {
	const source: ModuleSource = {
		builtIn: new Set(builtIn),
		infoOf: async (name) => {
			const found = Object.hasOwn(depends, name) ? depends[name] : undefined;
			return found === undefined ? undefined : { depends: found, softDepends: soft[name] ?? [] };
		},
	};
	return source;
}

test("each module comes after what it depends on; what is built in is left out", async () => {
	const source = sourceOf({ blk: ["virtio", "ring"], virtio: ["ring"], ring: [], mmio: ["ring", "virtio"] }, {}, [
		"rng",
	]);
	assert.deepEqual(await loadOrder(["mmio", "blk", "rng"], source), ["ring", "virtio", "mmio", "blk"]);
	assert.deepEqual(await loadOrder([], source), []);
});

test("a soft dependency is loaded first where there is one, also by its purpose", async () => {
	const depends = { libcrc32c: [], crc32c_generic: [], ext4: ["jbd2"], jbd2: [], other: [] };
	const soft = { libcrc32c: ["crypto_crc32c"], ext4: ["crc32c"], other: ["not_there"] };
	const order = await loadOrder(["libcrc32c", "ext4", "other"], sourceOf(depends, soft));
	assert.deepEqual(order, ["crc32c_generic", "libcrc32c", "jbd2", "ext4", "other"]);
	const { crc32c_generic: _, ...without } = depends;
	assert.deepEqual(await loadOrder(["libcrc32c"], sourceOf(without, soft, ["crc32c_generic"])), ["libcrc32c"]);
});

test("a circle, and a module that is not there, are refused by name", async () => {
	await assert.rejects(loadOrder(["a"], sourceOf({ a: ["b"], b: ["a"] })), /module a depends on itself/);
	await assert.rejects(loadOrder(["a"], sourceOf({ a: ["b"] })), /no module b, which a depends on/);
	await assert.rejects(loadOrder(["c"], sourceOf({})), KernelRefusal);
});

test("any modules without a circle get an order that holds, and always the same", async () => {
	const size = 12;
	const edges = fc.array(fc.tuple(fc.nat(size - 1), fc.nat(size - 1)), { maxLength: 40 });
	const check = fc.asyncProperty(edges, fc.uniqueArray(fc.nat(size - 1)), async (pairs, wanted) => {
		const depends: Record<string, string[]> = {};
		for (let index = 0; index < size; index += 1) depends[`m${index}`] = [];
		for (const [left, right] of pairs) {
			if (left !== right) depends[`m${Math.max(left, right)}`]?.push(`m${Math.min(left, right)}`);
		}
		const names = wanted.map((index) => `m${index}`);
		const order = await loadOrder(names, sourceOf(depends));
		assert.equal(new Set(order).size, order.length);
		assert.ok(names.every((name) => order.includes(name)));
		for (const name of order) {
			for (const other of depends[name] ?? []) assert.ok(order.indexOf(other) < order.indexOf(name));
		}
		assert.deepEqual(await loadOrder(names, sourceOf(depends)), order);
	});
	await fc.assert(check);
});

test("modules.builtin is read by names", () => {
	const text = "kernel/fs/ext4/ext4.ko\nkernel/lib/crypto/libaes-x.ko\n\nnonsense\n";
	assert.deepEqual([...builtInModules(text)], ["ext4", "libaes_x"]);
});
