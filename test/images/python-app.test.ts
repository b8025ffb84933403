import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { buildersMissing, ImageDoor, programMissing } from "../system/image-door.ts";

/** The example as README and guide show it: built, run in a virtual machine, built again; also for another kind of machine. */
const door = new ImageDoor();
after(() => door.close());
const example = join(import.meta.dirname, "../../examples/python-app");
cpSync(example, join(door.workspace, "python-app"), { recursive: true });
const builders = buildersMissing("mmdebstrap", "buildah");
const inVm = ["run", "--image", "python-app", "--isolation", "vm"];

test("the example is built, runs in a virtual machine and comes out identical again", {
	skip: builders || programMissing("qemu-system-x86_64"),
}, async () => {
	const digest = await door.build("python-app");
	assert.equal(await door.vouch(0, ...inVm, "--", "python3", "-c", "print(6*7)"), "42\n");
	await door.vouch(0, "image", "verify", "python-app");
	assert.equal(await door.vouch(0, "image", "rebuild", "python-app"), `identical  ${digest}\n`);
});

for (const [platform, machine] of [
	["linux/riscv64", "riscv64"],
	["linux/arm64", "aarch64"],
] as const) {
	test(`for ${platform} it is built, and boots, on this machine`, {
		skip: builders || programMissing(`qemu-system-${machine}`),
	}, async () => {
		await door.build("python-app", "--platform", platform);
		const asked = ["--image", `python-app@${platform}`, "--isolation", "vm", "--timeout", "5m"];
		const command = ["python3", "-c", "import platform; print(6*7, platform.machine())"];
		assert.equal(await door.vouch(0, "run", ...asked, "--", ...command), `42 ${machine}\n`);
		await door.vouch(0, "image", "verify", `python-app@${platform}`);
	});
}
