import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { GuestImage } from "./guest-image.ts";
import { type Exit, Peer, STREAM, TYPE } from "./peer.ts";
import { type Run, setup } from "./records.ts";

export interface MachineOptions {
	/** Instead of the image's own disk or measured words. */
	readonly disk?: string;
	readonly words?: string;
	readonly memoryMiB?: number;
	readonly board?: "microvm" | "q35";
	/** More disks, by serial. */
	readonly disks?: readonly {
		readonly serial: string;
		readonly path: string;
		readonly access: "read-only" | "read-write";
	}[];
}

/** A machine that runs for as long as its test: `await using`. */
export class Machine implements AsyncDisposable {
	readonly peer: Peer;
	/** Resolves when the machine has ended by itself. */
	readonly exited: Promise<void>;
	readonly #kill: () => void;
	readonly #said: () => string;

	private constructor(peer: Peer, kill: () => void, exited: Promise<void>, said: () => string) {
		this.peer = peer;
		this.exited = exited;
		this.#kill = kill;
		this.#said = said;
	}

	get console(): string {
		return this.#said();
	}

	async ends(timeoutMs = 120_000): Promise<boolean> {
		return Promise.race([this.exited.then(() => true), sleep(timeoutMs, false, { ref: false })]);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#kill();
		await this.exited;
		this.peer.close();
	}

	static async start(image: GuestImage, options: MachineOptions = {}): Promise<Machine> {
		const folder = mkdtempSync(join(tmpdir(), "vouch-guest-"));
		const socket = join(folder, "channel");
		const [program, ...args] = commandOf(image, options, socket);
		const child = spawn(program ?? "", args, { stdio: ["ignore", "pipe", "pipe"] });
		let said = "";
		for (const stream of [child.stdout, child.stderr])
			stream.on("data", (bytes: Buffer) => {
				said += bytes.toString("latin1");
			});
		const exited = new Promise<void>((resolve) => child.on("close", () => resolve()));
		exited.then(() => rmSync(folder, { recursive: true, force: true }));
		for (;;) {
			// The socket is there a moment before it listens.
			const peer = existsSync(socket) ? await Peer.connect(socket).catch(() => null) : null;
			if (peer !== null)
				return new Machine(
					peer,
					() => child.kill("SIGKILL"),
					exited,
					() => said,
				);
			if (child.exitCode !== null) throw new Error(`the machine did not start: ${said}`);
			await sleep(5);
		}
	}
}

function commandOf(image: GuestImage, options: MachineOptions, socket: string): string[] {
	const board = image.architecture === "amd64" ? (options.board ?? "microvm") : "virt";
	const bus = board === "q35" ? "pci" : "device";
	const root = { serial: "vouch-root", path: options.disk ?? image.disk, access: "read-only" as const };
	const disks = [root, ...(options.disks ?? [])].flatMap(({ serial, path, access }, index) => [
		...["-drive", `id=d${index},file=${path},format=raw,if=none,read-only=${access === "read-only" ? "on" : "off"}`],
		...["-device", `virtio-blk-${bus},drive=d${index},serial=${serial}`],
	]);
	return [
		...processorOf(image, board),
		...["-m", String(options.memoryMiB ?? 256), "-smp", "1", "-nodefaults", "-no-user-config", "-display", "none"],
		...["-serial", "stdio", "-no-reboot", "-kernel", image.kernel, "-initrd", image.initramfs],
		...["-append", `console=ttyS0 quiet panic=-1 ${clockOf(image, board)}${options.words ?? image.words}`],
		...["-device", `virtio-serial-${bus}`, "-chardev", `socket,id=c0,path=${socket},server=on,wait=off`],
		...["-device", "virtserialport,chardev=c0,name=vouch.channel", "-device", `virtio-rng-${bus}`],
		...disks,
	];
}

function processorOf(image: GuestImage, board: string): string[] {
	if (image.architecture === "amd64") return ["qemu-system-x86_64", "-M", `${board},accel=tcg`, "-cpu", "max"];
	const firmware = "/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin";
	return ["qemu-system-riscv64", "-M", "virt,accel=tcg", "-bios", firmware];
}

/** A microvm has no clock to measure its processor's by. */
function clockOf(image: GuestImage, board: string): string {
	if (image.architecture !== "amd64") return "";
	if (board !== "microvm") return "reboot=t ";
	const mhz = Number(/^cpu MHz\s*: ([\d.]+)/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1] ?? 2000);
	return `reboot=t tsc_early_khz=${Math.round(mhz * 1000)} tsc=reliable `;
}

export interface Finished {
	readonly exit: Exit;
	readonly output: string;
	readonly errors: string;
}

/** Greets, sets up, closes standard input and waits for the end. */
export async function finish(machine: Machine, run: Run, timeoutMs = 180_000): Promise<Finished> {
	const { peer } = machine;
	await peer.greet(timeoutMs);
	await peer.sendData(STREAM.setup, setup(run));
	peer.send(TYPE.end, STREAM.stdin);
	const exit = await peer.exit(timeoutMs);
	return { exit, output: peer.text(STREAM.stdout), errors: peer.text(STREAM.stderr) };
}
