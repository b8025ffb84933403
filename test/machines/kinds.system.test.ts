import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { QemuPlan } from "../../src/runtime/index.ts";
import { CACHE } from "../conformance/context.ts";
import { imageOf, machineImage } from "../conformance/machine-image.ts";
import { tryOut } from "../conformance/sandbox.ts";
import { qemuDriver, whyNoMachines } from "./qemu-driver.ts";

const skip = await whyNoMachines();
const NOBODY = 65_534;

/** Of other processors than most machines that this is tested on; machines of them are emulated there. */
const BOARDS = [
	{
		name: "riscv64",
		machine: "riscv64",
		platform: "linux/riscv64",
		emulator: "qemu-system-riscv64",
		compiler: "riscv64-linux-gnu-gcc",
	},
	{
		name: "arm64",
		machine: "aarch64",
		platform: "linux/arm64",
		emulator: "qemu-system-aarch64",
		compiler: "aarch64-linux-gnu-gcc",
	},
] as const;

/** Says what machine it is on and what it was given, and leaves a file. */
const PROGRAM = `#include <stdio.h>
#include <sys/utsname.h>
int main(void){char line[64];struct utsname u;uname(&u);FILE*f=fopen("given","r");fgets(line,64,f);printf("%s %s",u.machine,line);
f=fopen("made","w");fputs("new\\n",f);fclose(f);return 5;}`;

function missingFor(...programs: readonly string[]): string | false {
	const absent = programs.filter((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0);
	return absent.length > 0 && `not installed: ${absent.join(", ")}`;
}

/** Another user must be able to read the program under test, and to make namespaces. */
function whyNoOtherUser(): string | false {
	if (process.getuid?.() !== 0) return "this user can't become another";
	const can = (...argv: readonly string[]): boolean => {
		const user = ["--reuid", String(NOBODY), "--clear-groups", ...argv];
		return spawnSync("setpriv", user, { cwd: import.meta.dirname }).status === 0;
	};
	if (!can(process.execPath, "-e", "")) return "another user can't read this checkout";
	return !can("bwrap", "--unshare-user", "--ro-bind", "/", "/", "true") && "another user can't make namespaces";
}

describe("kinds of machines", { skip }, () => {
	const folder = mkdtempSync(join(tmpdir(), "vouch-kinds-"));
	after(() => rmSync(folder, { recursive: true, force: true }));

	test("a PC (q35): a run with its workspace", async () => {
		const source = join(folder, "workspace");
		mkdirSync(source);
		writeFileSync(join(source, "given"), "from outside\n");
		const { plan, stdout, ending } = await tryOut(qemuDriver, {
			argv: ["sh", "-c", "cat given; echo new > made; exit 3"],
			workspace: { source, access: "read-write" },
			machine: "q35",
		});
		assert.equal((plan as QemuPlan).machine.type, "q35");
		assert.deepEqual([stdout.toString(), ending.exitCode], ["from outside\n", 3]);
		accessSync(join(source, "made"), constants.R_OK);
	});

	for (const { name, machine, platform, emulator, compiler } of BOARDS) {
		test(`a board of ${name} (virt): a run with its workspace`, { skip: missingFor(emulator, compiler) }, async () => {
			const root = join(folder, name);
			mkdirSync(join(root, "bin"), { recursive: true });
			for (const point of ["dev", "proc", "tmp", "workspace"]) mkdirSync(join(root, point));
			const source = join(folder, `${name}.c`);
			writeFileSync(source, PROGRAM);
			const made = spawnSync(compiler, ["-static", "-Os", "-o", join(root, "bin", "program"), source]);
			assert.equal(made.status, 0, made.stderr.toString());
			const workspace = join(folder, `${name}-workspace`);
			mkdirSync(workspace);
			writeFileSync(join(workspace, "given"), "from outside\n");
			const { plan, stdout, ending } = await tryOut(qemuDriver, {
				argv: ["/bin/program"],
				workspace: { source: workspace, access: "read-write" },
				root: await imageOf(root, name, platform),
			});
			assert.deepEqual([(plan as QemuPlan).machine.type, (plan as QemuPlan).machine.platform], ["virt", platform]);
			assert.deepEqual([stdout.toString(), ending.exitCode], [`${machine} from outside\n`, 5]);
			accessSync(join(workspace, "made"), constants.R_OK);
		});
	}

	test("for an ordinary user: a run with its workspace, and QEMU confined as that user", {
		skip: whyNoOtherUser(),
	}, async () => {
		const home = join(folder, "home");
		const workspace = join(home, "workspace");
		mkdirSync(workspace, { recursive: true });
		writeFileSync(join(workspace, "given"), "from outside\n");
		const image = join(home, "image.json");
		writeFileSync(image, JSON.stringify(await machineImage()));
		chmodSync(folder, 0o755);
		// Whichever test made it first may have kept it to itself; the image lies in it.
		chmodSync(CACHE, 0o755);
		spawnSync("chown", ["-R", `${NOBODY}:${NOBODY}`, home]);
		const script = join(import.meta.dirname, "ordinary-user.ts");
		const user = ["--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups", "--inh-caps=-all"];
		const ran = spawnSync("setpriv", [...user, process.execPath, script, home], {
			encoding: "utf8",
			env: { PATH: process.env.PATH, HOME: home, TMPDIR: home },
			timeout: 120_000,
		});
		assert.equal(ran.stderr, "");
		assert.deepEqual(JSON.parse(ran.stdout), { exitCode: 3, stdout: "from outside\n", made: "new\n", users: [NOBODY] });
	});
});
