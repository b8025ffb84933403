import type { Digest, RunId } from "../../../core/index.ts";
import type { Platform } from "../../../image/schema.ts";
import type { ImageRoot, PlanRequest } from "../../driver.ts";
import type { Architecture } from "../../seccomp/index.ts";
import type { ConfinedProgram } from "./confinement.ts";
import { type Emulator, emulatorDigest, NOBODY, type QemuFacts } from "./facts.ts";
import type { Machine, MachineType } from "./machine.ts";
import { type MachineSize, machineSize } from "./size.ts";
import type { TemplateTies } from "./templates.ts";

export interface ChosenMachine {
	readonly machine: Machine;
	readonly size: MachineSize;
	/** Why it is as fast as it is. */
	readonly reason: string;
}

/** What of a request a machine depends on. */
export type MachineRequest = Pick<PlanRequest, "machine"> & {
	readonly workload: Pick<PlanRequest["workload"], "limits">;
};

export function machineFor(
	{ manifest }: Pick<ImageRoot, "manifest">,
	request: MachineRequest,
	facts: QemuFacts,
): ChosenMachine {
	const { platform } = manifest;
	const isOwn = platform === facts.platform;
	const acceleration = isOwn && facts.hardware.works ? "kvm" : "tcg";
	const type = request.machine ?? machineType(platform, acceleration, facts);
	const size = machineSize(request.workload.limits, facts.processors, acceleration);
	const words = type === "microvm" && acceleration === "tcg" ? [`tsc_early_khz=${facts.tscKHz}`, "tsc=reliable"] : [];
	const reason = isOwn
		? facts.hardware.found
		: `the image is for ${platform} and this machine is ${facts.platform ?? "of another kind"}`;
	return {
		machine: {
			platform,
			type,
			acceleration,
			memoryMiB: size.memoryMiB,
			processors: size.processors,
			commandLine: [manifest.commandLine, ...words].join(" "),
		},
		size,
		reason,
	};
}

/** The smallest that can boot the image. A microvm has no clock of its own to measure the processor's by, so it must be told. */
function machineType(platform: Platform, acceleration: Machine["acceleration"], facts: QemuFacts): MachineType {
	if (platform !== "linux/amd64") return "virt";
	const has = facts.emulators[platform]?.machines.includes("microvm") === true;
	const clocked = acceleration === "kvm" || (platform === facts.platform && facts.tscKHz !== null);
	return has && clocked ? "microvm" : "q35";
}

export function architectureOf(platform: Platform): Architecture | null {
	if (platform === "linux/amd64") return "x86_64";
	return platform === "linux/arm64" ? "aarch64" : null;
}

export function tiesOf(machine: Machine, imageDigest: Digest, emulator: Emulator, facts: QemuFacts): TemplateTies {
	const hardware = machine.acceleration === "kvm" ? facts.hardware.host : null;
	return { machine, imageDigest, emulatorDigest: emulatorDigest(emulator), hardware };
}

/** Above what systemd and containers hand out, so that no other process on the machine is ever this user. */
const FIRST_USER_ID = 0x70_00_00_00;

/** As whom QEMU runs: each run's is a user of its own, where ids are free to take. */
export function rightsFor(
	machine: Machine,
	facts: QemuFacts,
	runId: RunId,
): Pick<ConfinedProgram, "devices" | "userId" | "deviceGroup"> {
	const hardware = machine.acceleration === "kvm";
	const own = FIRST_USER_ID + Number.parseInt(runId.replaceAll("-", "").slice(-6), 16);
	return {
		devices: hardware ? ["/dev/kvm"] : [],
		userId: facts.userIds === "all" ? own : NOBODY,
		deviceGroup: hardware ? facts.deviceGroup : null,
	};
}
