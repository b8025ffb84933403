import type { Platform } from "../../../image/schema.ts";

export type MachineType = "microvm" | "q35" | "virt";
export type Acceleration = "kvm" | "tcg";

/** A machine as QEMU is told to make it. Two that are equal can wake from the same template. */
export interface Machine {
	readonly platform: Platform;
	readonly type: MachineType;
	readonly acceleration: Acceleration;
	readonly memoryMiB: number;
	readonly processors: number;
	/** The image's command line, and after it what only this machine knows. */
	readonly commandLine: string;
}

/** Where QEMU finds what it is given, inside its own file system. */
export const PLACE = {
	kernel: "/vm/kernel",
	initramfs: "/vm/initramfs",
	state: "/vm/state",
	sockets: "/vm/sockets",
	channel: "/vm/sockets/channel",
	control: "/vm/sockets/control",
	migration: "/vm/sockets/migration",
} as const;

/** The disks of every machine, in the order in which the guest finds them. The last three differ from run to run. */
export const DISKS = ["root", "files", "work", "scratch"] as const;
export type DiskRole = (typeof DISKS)[number];

export function diskPlace(role: DiskRole): string {
	return `/vm/disks/${role}`;
}

/**
 * Every machine's three disks of its own are as large as this, sparse: a machine that wakes from a template finds disks of the
 * size that it fell asleep with, whatever is in them.
 */
export const SLOT_BYTES = 64 * 2 ** 30;

/** What the channel's other end is: Vouch is there from the start, or a template waits for nobody. */
export type ChannelEnd = "connected" | "waiting";

/** Bytes of translated code that an emulated machine keeps. */
export const TRANSLATION_MIB = 128;

/** Which descriptor the shell opens the template's state on. */
export const STATE_FD = 7;

const PROGRAMS: Readonly<Record<Platform, string>> = {
	"linux/amd64": "qemu-system-x86_64",
	"linux/arm64": "qemu-system-aarch64",
	"linux/riscv64": "qemu-system-riscv64",
};

export function programOf(platform: Platform): string {
	return PROGRAMS[platform];
}

/** QEMU's words that make the machine. `restored` ones wake from the state on STATE_FD, with every disk. */
export function machineArguments(
	machine: Machine,
	channel: ChannelEnd,
	start: "cold" | "restored",
	disks: readonly DiskRole[] = DISKS,
): readonly string[] {
	const bus = machine.type === "microvm" ? "device" : "pci";
	const waiting = channel === "waiting";
	return [
		...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-sandbox", SANDBOX],
		...["-machine", machine.type, "-accel", accelerationText(machine), ...processorText(machine)],
		...(machine.type === "microvm" ? MODERN_DEVICES : []),
		...["-m", `size=${machine.memoryMiB}M`, "-smp", `cpus=${machine.processors}`],
		...["-kernel", PLACE.kernel, "-initrd", PLACE.initramfs, "-append", machine.commandLine],
		...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
		...disks.flatMap((role) => diskArguments(role, bus)),
		...["-device", `virtio-serial-${bus},max_ports=2`],
		...["-chardev", `socket,id=channel,path=${waiting ? "/tmp/channel,server=on,wait=off" : PLACE.channel}`],
		...["-device", "virtserialport,chardev=channel,name=vouch.channel"],
		...(waiting ? ["-chardev", `socket,id=control,path=${PLACE.control}`, "-mon", "chardev=control,mode=control"] : []),
		...(start === "restored" ? ["-incoming", `fd:${STATE_FD}`] : []),
	];
}

/** microvm's devices are as of virtio 0.9 unless told otherwise. */
const MODERN_DEVICES = ["-global", "virtio-mmio.force-legacy=false"];

/** QEMU's own seccomp filter: no new processes, no other user, no scheduling. */
const SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

function accelerationText({ acceleration }: Machine): string {
	return acceleration === "kvm" ? "kvm" : `tcg,tb-size=${TRANSLATION_MIB}`;
}

/** Emulated processors have every feature that QEMU knows, but for string moves, which it emulates byte by byte. */
const EMULATED: Readonly<Record<Platform, readonly string[]>> = {
	"linux/amd64": ["-cpu", "max,-erms,-fsrm"],
	"linux/arm64": ["-cpu", "max"],
	"linux/riscv64": [],
};

function processorText({ platform, acceleration }: Machine): readonly string[] {
	return acceleration === "kvm" ? ["-cpu", "host"] : EMULATED[platform];
}

function diskArguments(role: DiskRole, bus: "device" | "pci"): readonly string[] {
	const readOnly = role === "scratch" ? "off" : "on";
	// A disk of one run is worth nothing after it: what the guest flushes need not reach the medium.
	const cache = role === "scratch" ? ",cache.no-flush=on,discard=unmap" : "";
	const file = `file.driver=file,file.locking=off,file.filename=${diskPlace(role)}`;
	return [
		...["-blockdev", `driver=raw,node-name=${role},read-only=${readOnly}${cache},${file}`],
		...["-device", `virtio-blk-${bus},drive=${role},serial=vouch-${role}`],
	];
}
