import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { sampleTar } from "../rootfs/sample-archives.ts";
import { Refusal } from "../rootfs/source.ts";
import { Collector } from "./package-files.ts";
import { KernelRefusal } from "./refusal.ts";

const folder = "./lib/modules/6.1.0-1-x";
const entries = [
	{ name: "./boot/" },
	{ name: "./boot/vmlinuz-6.1.0-1-x", body: Buffer.alloc(3000, 1) },
	{ name: "./boot/config-6.1.0-1-x", body: "CONFIG" },
	{ name: `${folder}/kernel/fs/a.ko`, body: "" },
	{ name: `${folder}/kernel/fs/b.ko.xz`, body: "bb" },
	{ name: `${folder}/modules.builtin`, body: "kernel/c.ko\n" },
	{ name: "./usr/share/doc/x", body: "text" },
	{ name: "./vmlinuz", type: "2", link: "boot/vmlinuz-6.1.0-1-x" },
];

function collected(archive: Buffer, pieces: readonly number[] = []) {
	const collector = new Collector();
	let at = 0;
	for (const length of pieces) {
		collector.push(archive.subarray(at, at + length));
		at = Math.min(archive.length, at + length);
	}
	collector.push(archive.subarray(at));
	return collector.end();
}

test("keeps kernel and modules whatever pieces the archive comes in", () => {
	const archive = sampleTar(entries);
	fc.assert(
		fc.property(fc.array(fc.integer({ min: 1, max: 1500 }), { maxLength: 30 }), (pieces) => {
			const { release, boot, modules } = collected(archive, pieces);
			assert.equal(release, "6.1.0-1-x");
			assert.deepEqual([...boot.keys()], ["vmlinuz"]);
			assert.ok(boot.get("vmlinuz")?.equals(Buffer.alloc(3000, 1)));
			assert.deepEqual(
				[...modules].map(([name, bytes]) => [name, bytes.toString()]),
				[
					["kernel/fs/a.ko", ""],
					["kernel/fs/b.ko.xz", "bb"],
					["modules.builtin", "kernel/c.ko\n"],
				],
			);
		}),
	);
});

test("Debian 13 has its modules below /usr", () => {
	const { modules } = collected(sampleTar([{ name: "./usr/lib/modules/6.12-x/kernel/a.ko", body: "a" }]));
	assert.equal(modules.get("kernel/a.ko")?.toString(), "a");
});

test("two releases, one file twice, a strange release, sizes that can't be, and nothing at all are refused", () => {
	const kernel = { name: "./boot/vmlinuz-6.1.0-1-x", body: "k" };
	const hostile: Readonly<Record<string, Buffer>> = {
		"two releases": sampleTar([kernel, { name: "./boot/vmlinux-6.2", body: "k" }]),
		"one file twice": sampleTar([kernel, kernel]),
		"a strange release": sampleTar([{ name: "./boot/vmlinuz-x y", body: "k" }]),
		"too large": sampleTar([{ ...kernel, size: "77777777777\0" }]),
		nothing: sampleTar([]),
		"cut off": sampleTar(entries).subarray(0, 2000),
		"no archive": Buffer.alloc(2048, 7),
	};
	for (const [name, archive] of Object.entries(hostile)) {
		assert.throws(
			() => collected(archive),
			(error) => error instanceof KernelRefusal || error instanceof Refusal,
			name,
		);
	}
});

test("an archive with any byte changed gets an answer or a refusal", () => {
	const archive = sampleTar(entries);
	const change = fc.property(fc.nat(archive.length - 1), fc.nat(255), (at, byte) => {
		const changed = Buffer.from(archive);
		changed[at] = byte;
		try {
			collected(changed);
		} catch (error) {
			assert.ok(error instanceof KernelRefusal || error instanceof Refusal, String(error));
		}
	});
	fc.assert(change, { numRuns: 1000 });
});
