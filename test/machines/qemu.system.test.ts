import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
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
import { type ImageRoot, type QemuPlan, warmImage } from "../../src/runtime/index.ts";
import { TEST_CONTEXT } from "../conformance/context.ts";
import { MACHINE_TAR, machineImage } from "../conformance/machine-image.ts";
import { requestOf, type Trial, type TrialResult, tryOut } from "../conformance/sandbox.ts";
import { qemuDriver, whyNoMachines } from "./qemu-driver.ts";

const host = realHost();
const skip = await whyNoMachines();
const BLOCK = 4096;

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

	test("two that wake from one template have other randomness and identity, the right time, and nothing of each other", async () => {
		const random = "head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \\n'; echo";
		const beganSeconds = Date.now() / 1000;
		const script = `${random}; date +%s; cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id`;
		const runs = [await shell(script), await shell(script)].map(({ stdout }) => stdout.toString().split("\n"));
		for (const index of [0, 2, 3]) {
			assert.match(runs[0]?.[index] ?? "", /^[0-9a-f-]{36,}$/);
			assert.notEqual(runs[0]?.[index], runs[1]?.[index]);
		}
		for (const [, time] of runs)
			assert.ok(Number(time) > beganSeconds - 30 && Number(time) < Date.now() / 1000 + 30, time);
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

	test("one flipped bit at a random position of data or tree: the read fails, the run fails for it, no wrong byte is read", async () => {
		const disk = readFileSync(image.files.disk);
		const trials = (["data", "tree", "data", "tree", "data", "tree"] as const).map((where, index) => {
			const { path, offset } = randomFileBlock(disk);
			const at = where === "data" ? offset : randomTreeBlock(image.manifest.verity, offset / BLOCK);
			const position = at + Math.floor(Math.random() * BLOCK);
			const root = spoiled(`one-${index}`, (write) => flip(write, disk, position));
			return { what: `bit ${position % 8} of byte ${position} (${where}), read as ${path}`, path, root };
		});
		const judge = async ({ what, path, root }: (typeof trials)[number]): Promise<void> => {
			// What was read of it before the bad block would have a digest too, were it taken for the whole.
			const { ending, stdout } = await shell(`sha256sum ${path}; sleep 10`, { root });
			assert.deepEqual([ending.cause, ending.reason, stdout.toString()], ["guest-failed", "verity", ""], what);
		};
		for (let next = 0; next < trials.length; next += 2) await Promise.all(trials.slice(next, next + 2).map(judge));
	});

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

/** A whole block of a file of the image that no machine reads by itself, and where it is on the disk. */
function randomFileBlock(disk: Buffer): { readonly path: string; readonly offset: number } {
	const tar = (...words: readonly string[]) => spawnSync("tar", words, { maxBuffer: 2 ** 28 }).stdout;
	const files = tar("-tvf", MACHINE_TAR)
		.toString()
		.split("\n")
		.flatMap((line) => /^-\S+ \S+ +(\d{5,}) \S+ \S+ \.(\/usr\/(?:bin|sbin|share)\/\S+)$/.exec(line)?.slice(1) ?? [])
		.flatMap((word, index, words) => (index % 2 === 1 ? [{ path: word, size: Number(words[index - 1]) }] : []));
	for (let tries = 0; tries < 100; tries += 1) {
		const { path, size } =
			files[Math.floor(Math.random() * files.length)] ?? assert.fail("the image has no large file");
		const from = Math.floor(Math.random() * Math.floor(size / BLOCK)) * BLOCK;
		const block = tar("-xOf", MACHINE_TAR, `.${path}`).subarray(from, from + BLOCK);
		const offset = disk.indexOf(block);
		// What two files have alike is not known to be this one's.
		const isOnlyOne = offset > 0 && disk.indexOf(block, offset + 1) === -1;
		if (isOnlyOne && offset % BLOCK === 0) return { path, offset };
	}
	return assert.fail("the image's files are not on its disk as they are");
}

/** Where one of the blocks of the tree lies that this block's digest goes up through; they lie from the top down. */
function randomTreeBlock({ hashOffset, dataBlocks }: ImageRoot["manifest"]["verity"], block: number): number {
	const perBlock = BLOCK / 32;
	const levels = [Math.ceil(dataBlocks / perBlock)];
	while ((levels[0] ?? 0) > 1) levels.unshift(Math.ceil((levels[0] ?? 0) / perBlock));
	const level = Math.floor(Math.random() * levels.length);
	const above = levels.slice(0, level).reduce((sum, count) => sum + count, 0);
	const within = Math.floor(block / perBlock ** (levels.length - level));
	// The superblock comes first.
	return hashOffset + (1 + above + within) * BLOCK;
}
