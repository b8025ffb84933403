import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { newId, type RunId } from "../src/core/index.ts";
import { realHost } from "../src/host/index.ts";
import { drivers, type ImageRoot, openPool, type QemuPlan, type Run, warmImage } from "../src/runtime/index.ts";
import { machineImage } from "../test/conformance/machine-image.ts";
import { requestOf } from "../test/conformance/sandbox.ts";
import { interleave } from "./measure.ts";
import { type BenchResult, goal, type Measurement, medianOf } from "./report.ts";

const ROUNDS = 5;
const STREAM_BYTES = 64 * 2 ** 20;
const ROUND_TRIPS = 200;
const host = realHost();
const qemuDriver = drivers.find(({ name }) => name === "qemu") ?? missingDriver();

const LIMITS = { memoryMiB: null, cpuMillicores: null };
const QEMU = "qemu, trivial initramfs";

/** A machine by QEMU: to its first output against QEMU alone, woken or taken from a pool, and what its channel carries. */
export async function benchVm(directory: string): Promise<BenchResult> {
	const image = await machineImage();
	const caches = { cold: join(directory, "cold"), woken: join(directory, "woken"), pool: join(directory, "pool") };
	for (const folder of Object.values(caches)) mkdirSync(folder, { mode: 0o700 });
	await warmImage({ host, cacheDirectory: caches.woken, image, limits: LIMITS, machine: null });
	const bare = await bareCommand(directory, image, caches.cold);
	const first = await firstOutputs(directory, image, caches, bare);
	const [trips, beyond] = await channelTrips(directory, image, caches.woken);
	return {
		name: "vm",
		measurements: [first, await channelSpeed(directory, image, caches.woken), trips, beyond],
		notes: [
			"QEMU alone boots the same kernel on the same machine, with an /init that says one word on the console.",
			"Woken: from a template on disk. Taken: from a pool of one machine that has booted before; it boots the next after each sample.",
			"Beyond its guest: what QEMU holds resident outside of the guest's own memory.",
		],
	};
}

type Caches = Readonly<Record<"cold" | "woken" | "pool", string>>;

async function firstOutputs(
	directory: string,
	image: ImageRoot,
	caches: Caches,
	bare: readonly string[],
): Promise<Measurement> {
	await using pool = await openPool({
		...{ host, cacheDirectory: caches.pool, image, limits: LIMITS, machine: null, size: 1 },
		onFailure: (reason) => process.stderr.write(`bench: ${reason}\n`),
	});
	const taken = async (): Promise<number> => {
		await pool.filled();
		const tookMs = await untilFirstOutput(directory, image, caches.pool);
		await pool.filled();
		return tookMs;
	};
	const columns = await interleave(
		[
			{ name: QEMU, once: () => untilSaid(bare) },
			{ name: "booted", once: () => untilFirstOutput(directory, image, caches.cold) },
			{ name: "woken", once: () => untilFirstOutput(directory, image, caches.woken) },
			{ name: "taken", once: taken },
		],
		ROUNDS,
	);
	const of = (name: string): number => medianOf(columns, name);
	const share = of("booted") / of(QEMU);
	const gain = of("booted") / of("taken");
	return {
		title: "From a request to the first byte of output, emulated",
		unit: "ms",
		columns,
		base: QEMU,
		goals: [
			goal("booted: at most 1.25 of QEMU alone", share.toFixed(2), () => share <= 1.25),
			goal("taken: ten times faster than booted", gain.toFixed(1), () => gain >= 10),
		],
	};
}

async function started(
	directory: string,
	image: ImageRoot,
	cacheDirectory: string,
	argv: string[],
): Promise<[Run, QemuPlan]> {
	mkdirSync(cacheDirectory, { recursive: true });
	const runDirectory = mkdtempSync(join(directory, "run-"));
	const gate = createServer((socket) => socket.destroy()).listen(join(runDirectory, "gate.sock"));
	gate.unref();
	const request = requestOf({ argv, workspace: null, root: image }, newId<RunId>(Date.now()), runDirectory);
	const facts = await qemuDriver.probe(host, { cacheDirectory, image: async () => image });
	const planned = qemuDriver.plan({ ...request, cacheDirectory }, facts);
	if (planned.kind === "unmet") throw new Error(planned.reasons.map(({ sentence }) => sentence).join(" "));
	const run = await qemuDriver.start(planned.plan, { environment: {} }, host);
	run.stderr.resume();
	void run.ended.then(() => gate.close());
	return [run, planned.plan as QemuPlan];
}

async function untilFirstOutput(directory: string, image: ImageRoot, cacheDirectory: string): Promise<number> {
	const beganMs = performance.now();
	const [run] = await started(directory, image, cacheDirectory, ["echo", "up"]);
	await new Promise((resolve) => run.stdout.once("data", resolve));
	const tookMs = performance.now() - beganMs;
	run.stdin.end();
	await run.ended;
	return tookMs;
}

/** The same program, machine, memory and kernel; one static program as /init. */
async function bareCommand(directory: string, image: ImageRoot, cacheDirectory: string): Promise<readonly string[]> {
	const source = join(directory, "init.c");
	const init = join(directory, "init");
	writeFileSync(
		source,
		'#include <unistd.h>\n#include <fcntl.h>\n#include <sys/mount.h>\nint main(void){mount("d","/dev","devtmpfs",0,"");int c=open("/dev/console",O_WRONLY);write(c,"UP\\n",3);for(;;)pause();}\n',
	);
	const made = spawnSync("gcc", ["-static", "-Os", "-o", init, source], { encoding: "utf8" });
	if (made.status !== 0) throw new Error(`gcc: ${made.stderr ?? made.error?.message}`);
	const initramfs = join(directory, "bare.cpio");
	mkdirSync(join(directory, "bare"));
	renameSync(init, join(directory, "bare", "init"));
	const archive = "cd bare && mkdir dev && find . | cpio --quiet -o -H newc -R 0:0 > ../bare.cpio";
	const packed = spawnSync("sh", ["-c", archive], { cwd: directory, encoding: "utf8" });
	if (packed.status !== 0) throw new Error(`cpio: ${packed.stderr}`);
	mkdirSync(cacheDirectory, { recursive: true });
	const request = requestOf({ argv: ["true"], workspace: null, root: image }, newId<RunId>(Date.now()), directory);
	const planned = qemuDriver.plan(request, await qemuDriver.probe(host, { cacheDirectory, image: async () => image }));
	if (planned.kind === "unmet") throw new Error("no plan for the bare command");
	const { machine, emulator } = planned.plan as QemuPlan;
	return [
		emulator.path,
		...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
		...["-machine", machine.type, "-accel", machine.acceleration, "-cpu", "max"],
		...["-m", `size=${machine.memoryMiB}M`, "-kernel", image.files.kernel, "-initrd", initramfs],
		...["-append", machine.commandLine, "-chardev", "stdio,id=console", "-serial", "chardev:console"],
	];
}

async function untilSaid([program = "", ...words]: readonly string[]): Promise<number> {
	const beganMs = performance.now();
	const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
	let said = "";
	await new Promise<void>((resolve, reject) => {
		// A serial port says one letter at a time.
		child.stdout.on("data", (part: Buffer) => {
			said += part.toString("latin1");
			if (said.includes("UP")) resolve();
		});
		child.once("close", () => reject(new Error("QEMU ended without a word")));
	});
	const tookMs = performance.now() - beganMs;
	child.removeAllListeners("close");
	child.kill("SIGKILL");
	await new Promise((resolve) => child.once("close", resolve));
	return tookMs;
}

async function channelSpeed(directory: string, image: ImageRoot, cacheDirectory: string) {
	const rate = (ms: number): number => STREAM_BYTES / 2 ** 20 / (ms / 1000);
	const columns = await interleave(
		[
			{
				name: "out of the guest",
				once: async () => {
					const [run] = await started(directory, image, cacheDirectory, [
						"head",
						"-c",
						String(STREAM_BYTES),
						"/dev/zero",
					]);
					run.stdin.end();
					await new Promise((resolve) => run.stdout.once("readable", resolve));
					const beganMs = performance.now();
					for await (const _ of run.stdout);
					const tookMs = performance.now() - beganMs;
					await run.ended;
					return rate(tookMs);
				},
			},
			{
				name: "into the guest",
				once: async () => {
					const [run] = await started(directory, image, cacheDirectory, ["sh", "-c", "cat > /dev/null"]);
					run.stdout.resume();
					const beganMs = performance.now();
					run.stdin.end(Buffer.alloc(STREAM_BYTES));
					await run.ended;
					return rate(performance.now() - beganMs);
				},
			},
		],
		2,
	);
	return {
		title: "Bytes over the guest's channel",
		unit: "MiB/s" as const,
		columns,
		base: "out of the guest",
		goals: [],
	};
}

/** Round trips of one byte through `cat` in the guest, and what this side holds beyond the guest's own memory. */
async function channelTrips(
	directory: string,
	image: ImageRoot,
	cacheDirectory: string,
): Promise<readonly [trips: Measurement, beyond: Measurement]> {
	const [run, plan] = await started(directory, image, cacheDirectory, ["cat"]);
	const trips: number[] = [];
	for (let count = 0; count < ROUND_TRIPS; count += 1) {
		const beganMs = performance.now();
		run.stdin.write("x");
		await new Promise((resolve) => run.stdout.once("data", resolve));
		trips.push(performance.now() - beganMs);
	}
	const beyondMiB = memoryBeyondGuest(plan);
	run.stdin.end();
	await run.ended;
	const of = (title: string, unit: Measurement["unit"], name: string, samples: readonly number[]): Measurement => ({
		...{ title, unit, columns: [{ name, samples }], base: name, goals: [] },
	});
	return [
		of("A byte to `cat` in the guest and back", "ms", "round trip", trips),
		of("Memory of QEMU beyond its guest's", "MiB", "resident", [beyondMiB]),
	];
}

function memoryBeyondGuest({ runId, machine }: QemuPlan): number {
	const pid = readdirSync("/proc").find((name) => {
		try {
			const words = readFileSync(`/proc/${name}/cmdline`, "latin1").split("\0");
			return words[0]?.includes("qemu-system") === true && words.includes(`vouch-${runId}`);
		} catch {
			return false;
		}
	});
	const maps = readFileSync(`/proc/${pid}/smaps`, "latin1").matchAll(/^Size:\s+(\d+) kB[\s\S]*?^Rss:\s+(\d+) kB/gm);
	let beyondKiB = 0;
	for (const [, size, resident] of maps) {
		if (Number(size) !== machine.memoryMiB * 1024) beyondKiB += Number(resident);
	}
	return Math.round(beyondKiB / 1024);
}

function missingDriver(): never {
	throw new Error("there is no qemu driver");
}
