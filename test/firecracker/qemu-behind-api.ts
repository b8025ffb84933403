import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { Request } from "./api-contract.ts";

/**
 * The machine that requests to Firecracker's API describe, made by QEMU without KVM: so a driver can be tried with a real kernel
 * and guest where Firecracker can't run. Its vsock is a serial channel, its kernel's words are those asked for.
 */
export class QemuBehindApi {
	readonly #root: string;
	readonly #channel: string;
	#child: ChildProcess | undefined;
	console = "";

	constructor(root: string, folder: string) {
		this.#root = root;
		this.#channel = join(folder, "channel");
	}

	start(requests: readonly Request[]): void {
		const bodyOf = (path: string) =>
			(requests.find((request) => request.path === path)?.body ?? {}) as Readonly<Record<string, unknown>>;
		const inJail = (path: unknown) => `${this.#root}${String(path)}`;
		const [machine, boot] = [bodyOf("/machine-config"), bodyOf("/boot-source")];
		const drives = requests.filter(({ path }) => path.startsWith("/drives/")).map(({ body }) => body) as {
			path_on_host: string;
			is_read_only: boolean;
		}[];
		const mhz = Number(/^cpu MHz\s*: ([\d.]+)/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1] ?? 2000);
		const words = `${String(boot.boot_args)} reboot=t tsc_early_khz=${Math.round(mhz * 1000)} tsc=reliable`;
		const args = [
			...["-M", "microvm,accel=tcg", "-cpu", "max", "-nodefaults", "-no-user-config", "-display", "none"],
			...["-smp", String(machine.vcpu_count), "-m", String(machine.mem_size_mib), "-serial", "stdio", "-no-reboot"],
			...["-kernel", inJail(boot.kernel_image_path), "-initrd", inJail(boot.initrd_path), "-append", words],
			...["-device", "virtio-serial-device", "-chardev", `socket,id=c0,path=${this.#channel},server=on,wait=off`],
			...["-device", "virtserialport,chardev=c0,name=vouch.channel", "-device", "virtio-rng-device"],
			...drives.flatMap(({ path_on_host: path, is_read_only: isReadOnly }, index) => [
				"-drive",
				`id=d${index},file=${inJail(path)},format=raw,if=none,read-only=${isReadOnly ? "on" : "off"}`,
				...["-device", `virtio-blk-device,drive=d${index}`],
			]),
		];
		this.#child = spawn("qemu-system-x86_64", args, { stdio: ["ignore", "pipe", "pipe"] });
		for (const stream of [this.#child.stdout, this.#child.stderr])
			stream?.on("data", (bytes: Buffer) => (this.console += bytes.toString("latin1")));
	}

	get isUp(): boolean {
		return existsSync(this.#channel);
	}

	/** Joins a connection to the guest's vsock with the channel. */
	join(socket: Socket): void {
		const channel = connect(this.#channel);
		channel.pipe(socket).pipe(channel);
		channel.on("error", () => socket.destroy());
		socket.on("close", () => channel.destroy());
	}

	/** Resolves when nothing of it runs. */
	async kill(): Promise<void> {
		const child = this.#child;
		if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
		const gone = new Promise((resolve) => child.once("close", resolve));
		child.kill("SIGKILL");
		await gone;
	}
}
