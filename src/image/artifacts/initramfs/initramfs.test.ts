import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import { digestOf } from "../../../core/index.ts";
import { writeInitramfs } from "./index.ts";

/** GNU cpio is the oracle: it reads what the kernel reads. */
const missing = spawnSync("cpio", ["--version"]).error !== undefined;

const guest = Buffer.from("guest");
const modules = [
	{ name: "virtio_blk.ko", bytes: Buffer.from("block") },
	{ name: "dm_mod.ko", bytes: Buffer.alloc(4099, 7) },
];

function cpio(args: readonly string[], input: Uint8Array, cwd = tmpdir()): string {
	const { status, stdout, stderr } = spawnSync("cpio", [...args], { input, cwd, encoding: "utf8" });
	assert.equal(status, 0, stderr);
	return stdout;
}

test("its bytes never change", () => {
	const expected = "sha256:4a917c003ec7953c16b2605af72ae0a48f8958e79531924ffa5d9c36e2ffc97a";
	assert.equal(digestOf(writeInitramfs({ guest, modules })), expected);
});

test("cpio lists what the guest needs, of root, of 1970", (t) => {
	if (missing) return t.skip("cpio is not installed: apt-get install cpio");
	const lines = cpio(["-itv", "--numeric-uid-gid", "--quiet"], writeInitramfs({ guest, modules }))
		.trim()
		.split("\n")
		.map((line) => line.replace(/ +/g, " "));
	assert.deepEqual(lines, [
		"drwxr-xr-x 2 0 0 0 Jan 1 1970 dev",
		"-rwxr-xr-x 1 0 0 5 Jan 1 1970 init",
		"drwxr-xr-x 2 0 0 0 Jan 1 1970 modules",
		"-rw-r--r-- 1 0 0 4099 Jan 1 1970 modules/dm_mod.ko",
		"-rw-r--r-- 1 0 0 24 Jan 1 1970 modules/order",
		"-rw-r--r-- 1 0 0 5 Jan 1 1970 modules/virtio_blk.ko",
		"drwxr-xr-x 2 0 0 0 Jan 1 1970 proc",
		"drwxr-xr-x 2 0 0 0 Jan 1 1970 root",
		"drwxr-xr-x 2 0 0 0 Jan 1 1970 run",
		"drwxr-xr-x 2 0 0 0 Jan 1 1970 sys",
	]);
});

test("cpio gets back any modules, byte for byte, and their order", (t) => {
	if (missing) return t.skip("cpio is not installed: apt-get install cpio");
	const module = fc.record({
		name: fc.stringMatching(/^[a-z][a-z0-9_-]{0,30}$/).map((name) => `${name}.ko`),
		bytes: fc.uint8Array({ maxLength: 2000 }),
	});
	const some = fc.uniqueArray(module, { selector: ({ name }) => name, maxLength: 12 });
	const check = fc.property(some, fc.uint8Array({ maxLength: 500 }), (list, program) => {
		const folder = mkdtempSync(join(tmpdir(), "vouch-initramfs-"));
		try {
			cpio(["-idm", "--quiet"], writeInitramfs({ guest: program, modules: list }), folder);
			assert.deepEqual(new Uint8Array(readFileSync(join(folder, "init"))), program);
			assert.equal(statSync(join(folder, "init")).mode & 0o777, 0o755);
			const order = readFileSync(join(folder, "modules/order"), "utf8");
			assert.equal(order, list.map(({ name }) => `${name}\n`).join(""));
			for (const { name, bytes } of list) {
				assert.deepEqual(new Uint8Array(readFileSync(join(folder, "modules", name))), bytes);
			}
		} finally {
			rmSync(folder, { recursive: true });
		}
	});
	fc.assert(check, { numRuns: 20 });
});

test("a name that would lead elsewhere, or occurs twice, is refused", () => {
	const [first] = modules;
	for (const name of ["../x.ko", "a/b.ko", ".ko", "x", "x.ko\ny.ko", "x.ko virtio:1", "é.ko", ""]) {
		assert.throws(() => writeInitramfs({ guest, modules: [{ name, bytes: guest }] }), TypeError, name);
	}
	assert.ok(first !== undefined);
	assert.throws(() => writeInitramfs({ guest, modules: [first, first] }), TypeError);
});
