import assert from "node:assert/strict";
import {
	copyFileSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { newId, type RunId } from "../../src/core/index.ts";
import { realHost } from "../../src/host/index.ts";
import { drivers, type ImageRoot, type QemuPlan, warmImage } from "../../src/runtime/index.ts";
import { TEST_CONTEXT } from "../conformance/context.ts";
import { machineImage } from "../conformance/machine-image.ts";
import { requestOf, type Trial, type TrialResult, tryOut } from "../conformance/sandbox.ts";

const host = realHost();
const qemuDriver = drivers.find(({ name }) => name === "qemu") ?? missingDriver();
const missing = qemuDriver
	.explain(await qemuDriver.probe(host, TEST_CONTEXT))
	.filter(({ status }) => status === "missing");
const skip = missing.length > 0 ? missing.map(({ name, found }) => `${name}: ${found}`).join("; ") : false;

describe("machines by QEMU", { skip }, () => {
	let image: ImageRoot;
	let folder = "";
	before(async () => {
		image = await machineImage();
		folder = mkdtempSync(join(tmpdir(), "vouch-machines-"));
		const limits = { memoryMiB: null, cpuMillicores: null };
		await warmImage({ host, cacheDirectory: TEST_CONTEXT.cacheDirectory, image, limits, machine: null });
	});
	after(() => rmSync(folder, { recursive: true, force: true }));

	const shell = (script: string, rest: Omit<Trial, "argv"> = {}): Promise<TrialResult> =>
		tryOut(qemuDriver, { argv: ["sh", "-c", script], workspace: null, ...rest });

	/** The image with a disk of its own that a test may spoil. */
	function spoiled(name: string, spoil: (write: (at: number, bytes: Buffer) => void, disk: Buffer) => void): ImageRoot {
		const path = join(folder, name);
		copyFileSync(image.files.disk, path);
		const fd = openSync(path, "r+");
		spoil((at, bytes) => writeSync(fd, bytes, 0, bytes.length, at), readFileSync(path));
		// Another digest, so that no template of the true image is taken for it.
		return {
			...image,
			digest: `sha256:${name
				.padEnd(64, "0")
				.replace(/[^0-9a-f]/g, "e")
				.slice(0, 64)}` as ImageRoot["digest"],
			files: { ...image.files, disk: path },
		};
	}

	const flip = (write: (at: number, bytes: Buffer) => void, disk: Buffer, at: number): void =>
		write(at, Buffer.from([(disk[at] ?? 0) ^ (1 << (at % 8))]));

	test("a run wakes from a template, and its plan says so", async () => {
		const { plan, stdout } = await shell("echo up");
		assert.equal(stdout.toString(), "up\n");
		assert.notEqual((plan as QemuPlan).template, null);
		assert.equal(plan.performance?.acceleration, "emulated");
		assert.ok(plan.guarantees.kept.includes("separate-kernel") && plan.guarantees.kept.includes("verified-root"));
	});

	test("two that wake from one template have other randomness, the right time, and nothing of each other", async () => {
		const script =
			"head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \\n'; echo; date +%s; cat /proc/sys/kernel/random/uuid";
		const runs = [await shell(script), await shell(script)].map(({ stdout }) => stdout.toString().split("\n"));
		assert.notEqual(runs[0]?.[0], runs[1]?.[0]);
		assert.notEqual(runs[0]?.[2], runs[1]?.[2]);
		for (const lines of runs) assert.ok(Math.abs(Number(lines[1]) - Date.now() / 1000) < 30, lines[1]);
	});

	test("a secret of one run is in no template, and not in what wakes after it", async () => {
		const secret = `hunter2-${newId<RunId>(Date.now())}`;
		const environment = { TOKEN: secret };
		const { plan } = await shell("echo $TOKEN > /tmp/kept; cat /tmp/kept > /dev/null", { environment });
		const { template } = plan as QemuPlan;
		assert.ok(template !== null);
		assert.equal(readFileSync(template.state).includes(secret), false);
		const { stdout } = await shell("env; cat /tmp/kept 2>&1; ls -A /tmp /workspace");
		assert.ok(!stdout.toString().includes(secret));
	});

	test("nothing of a run stays on this machine: disks, sockets, templates in the making", async () => {
		const { plan } = await shell("true");
		assert.equal(existsSync((plan as QemuPlan).folder), false);
		assert.deepEqual(
			readdirSync(join(TEST_CONTEXT.cacheDirectory, "templates")).filter((name) => name.startsWith("tmp-")),
			[],
		);
	});

	test("QEMU runs as a user of its own, without capabilities, network or new privileges", async () => {
		let status = "";
		let network = "";
		await shell("sleep 1", {
			during: async (run, plan) => {
				const pid = readdirSync("/proc").find((name) => {
					try {
						const words = readFileSync(`/proc/${name}/cmdline`, "latin1").split("\0");
						return words[0]?.endsWith("qemu-system-x86_64") && words.includes(`vouch-${plan.runId}`);
					} catch {
						return false;
					}
				});
				status = readFileSync(`/proc/${pid}/status`, "utf8");
				network = readFileSync(`/proc/${pid}/net/dev`, "utf8");
				await run.ended;
			},
		});
		if (host.userId === 0) assert.doesNotMatch(status, /^Uid:\t0/m);
		assert.match(status, /^CapEff:\t0{16}$/m);
		assert.match(status, /^CapBnd:\t0{16}$/m);
		assert.match(status, /^NoNewPrivs:\t1$/m);
		assert.match(status, /^Seccomp:\t2$/m);
		assert.deepEqual(
			network
				.split("\n")
				.slice(2)
				.map((line) => line.split(":")[0]?.trim())
				.filter((name) => name !== ""),
			["lo"],
		);
	});

	test("a flipped bit of the hash tree's top: the machine refuses to start anything, with the reason", async () => {
		const wrong = spoiled("top", (write, disk) => flip(write, disk, image.manifest.verity.hashOffset + 4096 + 5));
		const { ending, stdout } = await shell("echo ran", { root: wrong });
		assert.deepEqual([ending.cause, ending.reason, stdout.toString()], ["guest-failed", "verity", ""]);
	});

	test("flipped bits at random positions of the data: each read fails, the run fails, and no wrong byte is read", async () => {
		const { dataBlocks } = image.manifest.verity;
		const wrong = spoiled("many", (write, disk) => {
			// Not the first megabyte, so that the machine comes up and reads.
			for (let count = 0; count < 400; count += 1) {
				const block = 256 + Math.floor(Math.random() * (dataBlocks - 256));
				flip(write, disk, block * 4096 + Math.floor(Math.random() * 4096));
			}
		});
		const script = "find / -xdev -type f -print0 | sort -z | xargs -0 sha256sum 2>/dev/null";
		const [honest, broken] = [await shell(script), await shell(script, { root: wrong })];
		assert.deepEqual([broken.ending.cause, broken.ending.reason], ["guest-failed", "verity"]);
		const digests = new Set(honest.stdout.toString().split("\n"));
		const lines = broken.stdout.toString().split("\n").slice(0, -1);
		assert.deepEqual(
			lines.filter((line) => !digests.has(line)),
			[],
		);
	});

	for (const where of ["data", "tree"] as const) {
		test(`one flipped bit of the ${where}, at a random position: the run that reads everything fails for it`, async () => {
			const { dataBlocks, hashOffset } = image.manifest.verity;
			const wrong = spoiled(`one-${where}`, (write, disk) => {
				const from = where === "data" ? 256 * 4096 : hashOffset + 3 * 4096;
				const to = where === "data" ? dataBlocks * 4096 : disk.length;
				flip(write, disk, from + Math.floor(Math.random() * (to - from)));
			});
			// Reading the files would pass over blocks that no file has: all of it, as the root's own device is out of reach.
			const { ending, stdout } = await shell("find / -xdev -type f -print0 | xargs -0 cat 2>/dev/null | wc -c", {
				root: wrong,
			});
			const failed = ending.cause === "guest-failed" && ending.reason === "verity";
			const untouched = ending.exitCode === 0 && Number(stdout) > 2 ** 20;
			assert.ok(failed || untouched, JSON.stringify(ending));
		});
	}

	test("a machine that never comes up ends in time with the reason", async () => {
		const root = { ...image, files: { ...image.files, initramfs: image.files.sbom } };
		const gate = createServer().listen(join(folder, "gate.sock"));
		try {
			const runDirectory = join(folder, "run");
			mkdirSync(runDirectory);
			const request = requestOf(
				{
					argv: ["true"],
					workspace: null,
					root: { ...root, digest: `sha256:${"e".repeat(64)}` as ImageRoot["digest"] },
				},
				newId<RunId>(Date.now()),
				runDirectory,
			);
			const planned = qemuDriver.plan(request, await qemuDriver.probe(host, TEST_CONTEXT));
			assert.equal(planned.kind, "planned");
			if (planned.kind !== "planned") return;
			const plan = planned.plan as QemuPlan;
			const run = await qemuDriver.start(
				{ ...plan, times: { ...plan.times, bootMs: 3000 } } as QemuPlan,
				{ environment: {} },
				host,
			);
			const [ending] = await Promise.all([run.ended, text(run.stdout), text(run.stderr)]);
			assert.equal(ending.cause, "guest-failed");
			assert.ok(ending.reason === "boot-timeout" || ending.reason === "guest-lost", JSON.stringify(ending));
		} finally {
			gate.close();
		}
	});
});

function missingDriver(): never {
	throw new Error("there is no qemu driver");
}
