import { type Digest, digestOf } from "../../../core/index.ts";
import type { Platform } from "../../../image/schema.ts";
import type { LimitFacts } from "../../limits/index.ts";
import type { Programs } from "../../programs.ts";
import type { Architecture } from "../../seccomp/index.ts";
import type { Confinement } from "./confinement.ts";
import type { PoolPlace } from "./pools.ts";
import type { Template } from "./templates.ts";

/** One QEMU program: it makes machines of one platform. */
export interface Emulator {
	readonly path: string;
	/** As it says itself: part of what a template is tied to. */
	readonly version: string;
	readonly machines: readonly string[];
}

export interface QemuFacts {
	readonly programs: Programs<"bwrap" | "setpriv" | "sh" | "mkfs.ext4">;
	/** Null on a machine that no image can be made for. */
	readonly platform: Platform | null;
	readonly emulators: Readonly<Partial<Record<Platform, Emulator>>>;
	readonly confinement: Confinement | null;
	/** Null when a confined QEMU started; else what was said. */
	readonly trialError: string | null;
	readonly hardware: Hardware;
	readonly processors: number;
	/** Of the time stamp counter, which emulation passes through; null when this machine does not say it for certain. */
	readonly tscKHz: number | null;
	/** Whether any user id may be taken, or only those of a container. */
	readonly userIds: "all" | "few";
	/** Group that may use /dev/kvm; null when its group may not. */
	readonly deviceGroup: number | null;
	readonly architecture: Architecture | null;
	readonly limits: LimitFacts;
	readonly templates: readonly Template[];
	readonly pools: readonly PoolPlace[];
}

/** Whether guests run on this machine's processor itself. */
export interface Hardware {
	readonly works: boolean;
	/** In words what was found. */
	readonly found: string;
	/** What a machine asleep depends on, beside QEMU: the processor and the kernel. */
	readonly host: string;
}

/** As whom a confined program runs where ids are not free to take. */
export const NOBODY = 65_534;

/** What an outcome or a template is tied to, beside the image and the machine's size. */
export function emulatorDigest(emulator: Emulator): Digest {
	return digestOf(`${emulator.path}\n${emulator.version}`);
}
