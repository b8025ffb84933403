import assert from "node:assert/strict";
import test from "node:test";
import type { Verity } from "../../schema.ts";
import { commandLineFor } from "./index.ts";

const verity: Verity = {
	algorithm: "sha256",
	dataBlockSize: 4096,
	hashBlockSize: 4096,
	dataBlocks: 35758,
	hashOffset: 35758 * 4096,
	salt: "00".repeat(32),
	uuid: "00000000-0000-4000-8000-000000000001",
	rootHash: "9adf36b81e93082dd653ea9880931c978ecabca5ea1944e45dd45d9ad3120546",
};
const tree = `1:sha256:4096:35758:35759:${verity.salt}:${verity.rootHash}`;

test("amd64 with erofs", () => {
	assert.equal(
		commandLineFor("linux/amd64", "erofs", verity),
		`console=ttyS0 quiet panic=-1 reboot=t noreplace-smp cryptomgr.notests vouch.rootfs=erofs vouch.verity=${tree}`,
	);
});

test("arm64 and riscv64 have their own consoles, and no word that is x86's", () => {
	const words = `cryptomgr.notests vouch.rootfs=erofs vouch.verity=${tree}`;
	assert.equal(commandLineFor("linux/arm64", "erofs", verity), `console=ttyAMA0 quiet panic=-1 reboot=t ${words}`);
	assert.equal(commandLineFor("linux/riscv64", "erofs", verity), `console=ttyS0 quiet panic=-1 reboot=t ${words}`);
});

test("both kinds of squashfs are one to the guest, and no salt is a hyphen", () => {
	for (const format of ["squashfs", "squashfs-uncompressed"] as const) {
		const line = commandLineFor("linux/amd64", format, { ...verity, salt: "" });
		assert.match(line, / vouch\.rootfs=squashfs vouch\.verity=1:sha256:4096:35758:35759:-:9adf/);
	}
});
