import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type Host, realHost } from "../../../host/index.ts";
import { findEmulators } from "./emulators.ts";

const folder = mkdtempSync(join(tmpdir(), "vouch-emulators-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const program = join(folder, "qemu-system-riscv64");
const asked = join(folder, "asked");
/** A machine with one emulator, which says this version, and that it was asked. */
const host: Host = {
	...realHost(),
	findProgram: async (name) => (name === "qemu-system-riscv64" ? program : undefined),
};

function install(version: string): void {
	const script = `#!/bin/sh\necho "$1" >> ${asked}\ncase $1 in --version) echo "${version}";; *) printf 'Supported:\\nvirt x\\n';; esac\n`;
	writeFileSync(program, script);
	chmodSync(program, 0o755);
}

test("an emulator is asked once, and again when it is another file", async () => {
	const times = (): number => readFileSync(asked, "utf8").split("\n").length - 1;
	install("QEMU 7.2");
	const first = await findEmulators(host, join(folder, "cache"));
	assert.deepEqual(first, { "linux/riscv64": { path: program, version: "QEMU 7.2", machines: ["virt"] } });
	assert.equal(times(), 2);
	assert.deepEqual(await findEmulators(host, join(folder, "cache")), first);
	assert.equal(times(), 2);
	install("QEMU 10.0");
	const upgraded = await findEmulators(host, join(folder, "cache"));
	assert.equal(upgraded["linux/riscv64"]?.version, "QEMU 10.0");
	assert.equal(times(), 4);
});

test("one that says nothing is none, and where nothing can be remembered it is asked each time", async () => {
	install("");
	assert.deepEqual(await findEmulators(host, join(folder, "cache")), {});
	install("QEMU 7.2");
	const nowhere = join(program, "no-folder");
	assert.equal((await findEmulators(host, nowhere))["linux/riscv64"]?.version, "QEMU 7.2");
});
