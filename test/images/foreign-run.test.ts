import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { buildersMissing, ImageDoor, programMissing } from "../system/image-door.ts";

/** A Dockerfile whose RUN is a program of another processor: emulated while it is built (qemu-user-static), and its machine when it runs. */
const door = new ImageDoor();
after(() => door.close());

const PLATFORMS = [
	{ platform: "linux/riscv64", machine: "riscv64", handler: "qemu-riscv64", emulator: "qemu-system-riscv64" },
	{ platform: "linux/arm64", machine: "aarch64", handler: "qemu-aarch64", emulator: "qemu-system-aarch64" },
] as const;

const KERNEL = "/proc/sys/fs/binfmt_misc";

/** Where no service registered it, this does, until the end. Why the kernel does not know of the emulator, or false. */
function whyNotEmulated(handler: string): string | false {
	if (existsSync(join(KERNEL, handler))) return false;
	const can = (...[program = "", ...words]: readonly string[]): boolean => spawnSync(program, words).status === 0;
	if (!existsSync(join(KERNEL, "register")) && !can("mount", "-t", "binfmt_misc", "binfmt_misc", KERNEL)) {
		return "binfmt_misc can't be mounted here";
	}
	if (!can("update-binfmts", "--enable", handler)) return `${handler} can't be registered; install qemu-user-static`;
	after(() => spawnSync("update-binfmts", ["--disable", handler]));
	return false;
}

for (const { platform, machine, handler, emulator } of PLATFORMS) {
	test(`a Dockerfile with RUN is built for ${platform}, and what it made is in the machine`, {
		skip: buildersMissing("mmdebstrap", "buildah") || programMissing(emulator) || whyNotEmulated(handler),
	}, async () => {
		const project = join(door.workspace, machine);
		mkdirSync(project);
		writeFileSync(join(project, "Dockerfile"), "FROM base\nRUN uname -m > /made-by\n");
		const base = "dockerfile:\n  network: none\n  contexts:\n    base: debian:trixie\n";
		writeFileSync(join(project, "vouch-image.yaml"), `name: made-by-${machine}\n${base}`);
		await door.build(machine, "--platform", platform);
		const asked = ["--image", `made-by-${machine}@${platform}`, "--isolation", "vm", "--workspace", "none"];
		const command = ["sh", "-c", "cat /made-by; uname -m"];
		assert.equal(await door.vouch(0, "run", ...asked, "--", ...command), `${machine}\n${machine}\n`);
	});
}
