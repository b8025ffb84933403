import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { newId, type RunId } from "../../src/core/index.ts";
import { realHost } from "../../src/host/index.ts";
import { sweepScratch } from "../../src/image/index.ts";
import { openPool, type QemuPlan, type WarmPool } from "../../src/runtime/index.ts";
import { TEST_CONTEXT } from "../conformance/context.ts";
import { machineImage } from "../conformance/machine-image.ts";
import { exitStatus, requestOf, type Trial, type TrialResult, tryOut } from "../conformance/sandbox.ts";
import { commandLines } from "../conformance/test-driver.ts";
import { qemuDriver, whyNoMachines } from "./qemu-driver.ts";

const skip = await whyNoMachines();
const SIZE = 2;
const PATIENCE_MS = 120_000;

describe("a pool of booted machines", { skip }, () => {
	const folder = mkdtempSync(join(tmpdir(), "vouch-pool-"));
	const cacheDirectory = join(folder, "cache");
	const limits = { memoryMiB: null, cpuMillicores: null };
	const failures: string[] = [];
	let pool: WarmPool;
	before(
		async () => {
			mkdirSync(cacheDirectory, { mode: 0o700 });
			pool = await openPool({
				...{ host: realHost(), cacheDirectory, image: await machineImage(), limits, machine: null, size: SIZE },
				onFailure: (reason) => failures.push(reason),
			});
			await pool.filled();
		},
		{ timeout: PATIENCE_MS },
	);
	after(
		async () => {
			await pool[Symbol.asyncDispose]();
			rmSync(folder, { recursive: true, force: true });
		},
		{ timeout: PATIENCE_MS },
	);

	const shell = (script: string, rest: Omit<Trial, "argv"> = {}): Promise<TrialResult> =>
		tryOut(qemuDriver, { argv: ["sh", "-c", script], workspace: null, cacheDirectory, ...rest });

	test("a run takes a machine of the pool, with its workspace and its exit code, and nothing of it stays", async () => {
		const source = join(folder, "workspace");
		mkdirSync(source);
		writeFileSync(join(source, "given"), "from outside\n");
		const script = "cat given; echo changed > given; echo new > made; exit 7";
		const { plan, stdout, ending } = await shell(script, { workspace: { source, access: "read-write" } });
		assert.notEqual((plan as QemuPlan).pool, null);
		assert.deepEqual([stdout.toString(), exitStatus(ending)], ["from outside\n", 7]);
		assert.deepEqual(
			["given", "made"].map((name) => readFileSync(join(source, name), "utf8")),
			["changed\n", "new\n"],
		);
	});

	test("each has its own randomness and identity, the right time, and nothing of a run before it", async () => {
		const secret = `hunter2-${newId<RunId>(Date.now())}`;
		await pool.filled();
		const beganSeconds = Date.now() / 1000;
		const random = "od -An -N32 -tx1 /dev/urandom | tr -d ' \\n'; echo";
		const script = `${random}; cat /proc/sys/kernel/random/boot_id; date +%s; env; ls -A /tmp /home/vouch; cat /tmp/kept 2>&1`;
		const [first, second] = await Promise.all([
			shell(`echo $TOKEN > /tmp/kept; ${script}`, { environment: { TOKEN: secret } }),
			shell(script),
		]);
		const lines = [first, second].map(({ stdout }) => stdout.toString().split("\n"));
		assert.ok([first, second].every(({ plan }) => (plan as QemuPlan).pool !== null));
		for (const index of [0, 1]) assert.notEqual(lines[0]?.[index], lines[1]?.[index]);
		for (const [, , time] of lines)
			assert.ok(Number(time) > beganSeconds - 30 && Number(time) < Date.now() / 1000 + 30, time);
		assert.ok(first.stdout.toString().includes(secret));
		assert.ok(!second.stdout.toString().includes(secret));
		assert.match(second.stdout.toString(), /\/tmp\/kept: No such file/);
	});

	test("more runs than machines: the others wait for the next, and a killed one is gone at once", async () => {
		await pool.filled();
		const runs = [1, 2, 3].map((number) => shell(`echo ${number}`));
		const outputs = (await Promise.all(runs)).map(({ stdout }) => stdout.toString());
		assert.deepEqual(outputs, ["1\n", "2\n", "3\n"]);
		const { ending } = await shell("sleep 1000", { during: async (run) => run.kill() });
		assert.equal(ending.cause, "killed");
	});

	test("a machine ends with the connection of who took it, and what is no request gets none", async () => {
		await pool.filled();
		const [name = ""] = readdirSync(join(cacheDirectory, "pools"));
		const place = join(cacheDirectory, "pools", name);
		const told = async (line: string): Promise<{ readonly text: string; readonly end: () => void }> => {
			const socket = createConnection(place).on("error", () => {});
			socket.write(`${line}\n`);
			const [bytes] = await Promise.race([once(socket, "data"), once(socket, "close").then(() => [""])]);
			return { text: String(bytes), end: () => socket.destroy() };
		};
		for (const line of ["{}", "GET / HTTP/1.1", '{"ask":"take","more":1}']) assert.equal((await told(line)).text, "");
		const { text, end } = await told('{"ask":"take","diskWriteBytes":null}');
		const { folder: taken }: { readonly folder: string } = JSON.parse(text);
		assert.ok(existsSync(taken));
		end();
		while (existsSync(taken)) await delay(20);
	});

	test("an image that does not come up is told of, and a run does not wait for it without end", async () => {
		const image = await machineImage();
		const root = { ...image, files: { ...image.files, initramfs: image.files.sbom } };
		const reasons: string[] = [];
		await using broken = await openPool({
			...{ host: realHost(), cacheDirectory: join(folder, "broken"), image: root, limits, machine: null, size: 1 },
			onFailure: (reason) => reasons.push(reason),
		});
		const request = { argv: ["true"], workspace: null, root, cacheDirectory: join(folder, "broken") };
		const asked = requestOf(request, newId<RunId>(Date.now()), folder);
		const planned = qemuDriver.plan(
			asked,
			await qemuDriver.probe(realHost(), { ...TEST_CONTEXT, cacheDirectory: asked.cacheDirectory }),
		);
		assert.ok(planned.kind === "planned");
		const plan = planned.plan as QemuPlan;
		assert.notEqual(plan.pool, null);
		const impatient: QemuPlan = { ...plan, times: { ...plan.times, bootMs: 1000 } };
		const refused = { code: "pool-gone", message: /none came up in 1000 ms/ };
		await assert.rejects(qemuDriver.start(impatient, { environment: {} }, realHost()), refused);
		while (reasons.length === 0) await delay(20);
		assert.match(reasons[0] ?? "", /it ended/);
		assert.ok(broken.memoryMiB > 0);
	});

	test("a run with a limit of written bytes takes one too, which is watched from then on", async () => {
		const source = join(folder, "limited");
		mkdirSync(source);
		const script = "echo up; for i in $(seq 64); do head -c 1m /dev/zero > f$i; sync f$i; done; echo finished";
		const workspace = { source, access: "read-write" } as const;
		const { plan, stdout, ending } = await shell(script, { workspace, limits: { diskWriteMiB: 16 } });
		assert.notEqual((plan as QemuPlan).pool, null);
		assert.deepEqual([stdout.toString(), ending.cause], ["up\n", "disk-write-limit"]);
	});

	test("kill -9 of a pool: the run that has its machine ends and says why, nothing runs on, the next boots its own", async () => {
		const place = join(folder, "killed");
		mkdirSync(place, { mode: 0o700 });
		const script = join(import.meta.dirname, "abandoned-pool.ts");
		const child = spawn(process.execPath, [script, place], { stdio: ["ignore", "pipe", "inherit"] });
		await once(child.stdout, "data");
		const machines = (): readonly string[] => commandLines().filter((line) => line.includes(place));
		const { plan, ending } = await shell("echo up; sleep 1000", {
			cacheDirectory: place,
			during: async (_run, _plan, _folder, printed) => {
				while (!printed().includes("up")) await delay(20);
				assert.notDeepEqual(machines(), []);
				child.kill("SIGKILL");
			},
		});
		assert.notEqual((plan as QemuPlan).pool, null);
		assert.deepEqual([ending.cause, ending.reason], ["guest-failed", "guest-lost"]);
		while (machines().length > 0) await delay(20);
		const next = await shell("echo up", { cacheDirectory: place });
		assert.deepEqual([(next.plan as QemuPlan).pool, next.stdout.toString()], [null, "up\n"]);
		assert.deepEqual(readdirSync(join(place, "pools")), [], "its socket is not found again");
		await sweepScratch(join(place, "machines"));
		assert.deepEqual(readdirSync(join(place, "machines")), [], "its machines' folders go with the next pool");
	});

	test("when the pool has ended nothing of its machines is left, and a run boots its own", async () => {
		await pool[Symbol.asyncDispose]();
		assert.deepEqual(failures, []);
		assert.deepEqual(readdirSync(join(cacheDirectory, "pools")), []);
		assert.deepEqual(readdirSync(join(cacheDirectory, "machines")), []);
		const { plan, stdout } = await shell("echo up");
		assert.deepEqual([(plan as QemuPlan).pool, stdout.toString()], [null, "up\n"]);
		assert.equal(existsSync((plan as QemuPlan).folder), false);
	});
});
