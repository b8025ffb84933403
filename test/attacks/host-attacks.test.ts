import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { compareTrees, scanTree, type TreeSnapshot } from "../../src/host/index.ts";
import type { Driver } from "../../src/runtime/index.ts";
import { isolatingDrivers } from "../conformance/isolating-drivers.ts";
import { exitStatus, type Trial, type TrialResult, tryOut } from "../conformance/sandbox.ts";
import { commandLines } from "../conformance/test-driver.ts";
import { ATTACKS, WATCHED } from "./cases.ts";
import { compileAttack, type Machine, openMachine, textOf } from "./machine.ts";

const builds = mkdtempSync(join(tmpdir(), "vouch-attack-build-"));
after(() => rmSync(builds, { recursive: true, force: true }));
const attack = compileAttack(builds);

/** Between the cases' outputs: no case prints it. */
const MARK = "\u0001vouch-case ";

for (const { driver, skip } of await isolatingDrivers()) {
	describe(`attacks on the host under ${driver.name}`, { skip: "missing" in attack ? attack.missing : skip }, () =>
		attacksUnder(driver),
	);
}

function attacksUnder(driver: Driver): void {
	let machine: Machine;
	let outputs: ReadonlyMap<string, string> = new Map();
	let watched: ReadonlyMap<string, string | undefined> = new Map();
	let trees: readonly [TreeSnapshot, TreeSnapshot] | undefined;

	before(async () => {
		machine = await openMachine("path" in attack ? attack.path : "");
		watched = new Map(WATCHED.map((path) => [path, textOf(path)]));
		const treeBefore = await scanTree(machine.workspace);
		outputs = await runAll(driver, machine);
		trees = [treeBefore, await scanTree(machine.workspace)];
	});
	after(() => machine.close());

	for (const { name, check } of ATTACKS) {
		test(name, () => {
			const output = outputs.get(name);
			assert.notEqual(output, undefined, "the case did not run");
			check({ machine, output: output ?? "", before: watched });
		});
	}

	test("a planted git hook is reported as a change", () => {
		const changes = trees === undefined ? [] : compareTrees(...trees);
		const hook = changes.find(({ path }) => path === ".git/hooks/pre-commit");
		assert.ok(hook?.flags.includes("git-hook"), JSON.stringify(hook));
	});

	const alone = (script: string, rest: Omit<Trial, "argv"> = {}): Promise<TrialResult> =>
		tryOut(driver, {
			argv: ["sh", "-c", script],
			workspace: { source: machine.workspace, access: "read-write" },
			limits: { memoryMiB: 256, processes: 64, diskWriteMiB: 64 },
			...rest,
		});

	test("at a terminal: nothing can be typed into it from inside, and nothing of what made it is left open", async () => {
		const calls = ["terminal_input", "terminal_input_wide", "terminal_paste", "extra_descriptors", "steal_descriptor"];
		const script = `for call in ${calls.join(" ")}; do ./attack $call; done; ls -l /proc/1/fd 2>&1 | grep -c memfd; exit 0`;
		const { stdout } = await alone(script, { windowSize: { rows: 24, columns: 80 } });
		assert.match(stdout.toString(), /^(refused \d+\r\n){5}0\r\n$/);
	});

	test("a fork bomb stays within its limit and ends with the run", async () => {
		const { plan } = await alone("b() { b | b & }; b; sleep 1", {
			during: async (run) => {
				await delay(800);
				assert.ok(commandLines().length > 0);
				run.kill();
			},
		});
		assert.deepEqual(
			commandLines().filter((line) => line.includes(plan.runId)),
			[],
		);
		assert.equal(spawnSync("true").status, 0);
	});

	test("a memory bomb is ended, the host's memory is not", async () => {
		const { stdout } = await alone("head -c 900m /dev/zero | tail -c 900m | wc -c");
		assert.ok(Number(stdout.toString().trim() || "0") < 256 * 2 ** 20);
	});

	test("filling memory through scratch file systems counts as memory", async () => {
		const { stdout } = await alone(
			"for d in /tmp /run /home/vouch /dev/shm; do head -c 200m /dev/zero > $d/x; done; cat /tmp/x /run/x /home/vouch/x /dev/shm/x | wc -c",
			{
				limits: { memoryMiB: 128, processes: 64 },
			},
		);
		assert.ok(Number(stdout.toString().trim() || "0") <= 128 * 2 ** 20, stdout.toString());
	});

	test("a disk fill ends the run before it is one", async () => {
		const { ending } = await alone(
			"i=0; while [ $i -lt 1000 ]; do head -c 8m /dev/zero > fill$i; sync fill$i; i=$((i+1)); done",
		);
		assert.equal(ending.cause, "disk-write-limit");
		const filled = readdirSync(machine.workspace).filter((name) => name.startsWith("fill"));
		assert.ok(filled.length < 128, `${filled.length} files of 8 MiB`);
	});

	test("many small files in scratch folders end at the memory limit", async () => {
		const { stdout } = await alone(
			"mkdir /tmp/i; cd /tmp/i; i=0; while [ $i -lt 2000 ]; do : > f$i; i=$((i+1)); done; ls | wc -l",
		);
		assert.equal(stdout.toString().trim(), "2000");
	});

	test("an output flood waits for whoever reads it, in bounded memory", async () => {
		const before = process.memoryUsage().rss;
		const { ending } = await alone("yes flood", {
			output: "unread",
			during: async (run) => {
				await delay(700);
				run.kill();
			},
		});
		assert.equal(ending.cause, "killed");
		assert.ok(process.memoryUsage().rss - before < 200 * 2 ** 20);
	});

	test("sleeping grandchildren in sessions of their own are gone", async () => {
		const long = `sleep 4321.${process.pid}`;
		await alone(`for i in 1 2 3; do setsid ${long} >/dev/null 2>&1 </dev/null & done; (setsid ${long} &); sleep 0.2`);
		assert.ok(!commandLines().some((line) => line.includes(`4321.${process.pid}`)));
	});

	test("signals to everyone and to the parent reach nobody outside", async () => {
		await alone("kill -9 $PPID; kill -9 -1; kill -9 1; kill -TERM 0");
		assert.equal(machine.victim.exitCode ?? machine.victim.signalCode, null);
	});

	test("a stopped workload can still be killed", async () => {
		const { ending } = await alone("kill -STOP $$; sleep 100", {
			during: async (run) => {
				await delay(400);
				run.kill();
			},
		});
		assert.equal(ending.cause, "killed");
	});

	test("a hostile LD_PRELOAD is loaded by the workload alone", async () => {
		const { ending, stderr } = await alone("exit 5", {
			environment: { LD_PRELOAD: "/workspace/evil.so", PATH: "/usr/bin" },
		});
		assert.equal(exitStatus(ending), 5, stderr);
	});
}

/** All cases in one sandbox, each with its output between marks. */
async function runAll(driver: Driver, machine: Machine): Promise<ReadonlyMap<string, string>> {
	const script = ATTACKS.map(
		({ script: text }, index) => `printf '\\n${MARK}${index}\\n'\n( ${text(machine)}\n) </dev/null\n`,
	).join("");
	const { stdout } = await tryOut(driver, {
		argv: ["sh", "-c", `exec 2>&1; ${script}`],
		workspace: { source: machine.workspace, access: "read-write" },
		limits: { memoryMiB: 512, processes: 128, openFiles: 256 },
	});
	const parts = stdout.toString().split(`\n${MARK}`).slice(1);
	return new Map(
		parts.map((part) => {
			const end = part.indexOf("\n");
			return [ATTACKS[Number(part.slice(0, end))]?.name ?? "", part.slice(end + 1)];
		}),
	);
}

test("the attacks work where nothing stops them", { skip: "missing" in attack ? attack.missing : false }, (context) => {
	if (process.getuid?.() !== 0) return context.skip("only root could do them without a sandbox");
	const path = "path" in attack ? attack.path : "";
	for (const name of [
		"unshare_user",
		"raw_socket",
		"multipath_socket",
		"packet_socket",
		"tree_open",
		"device",
		"keyctl_join",
	]) {
		const { stdout } = spawnSync(path, [name], { encoding: "utf8" });
		assert.match(stdout, /DONE/, name);
	}
	rmSync("/tmp/device", { force: true });
	assert.ok(readFileSync("/proc/self/status", "utf8").includes("Seccomp:\t0"));
});
