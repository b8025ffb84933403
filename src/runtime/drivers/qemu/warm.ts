import type { Host } from "../../../host/index.ts";
import type { ImageRoot } from "../../driver.ts";
import { failures } from "../../failures.ts";
import { type Limits, NO_LIMITS } from "../../schema.ts";
import type { Emulator, QemuFacts } from "./facts.ts";
import type { Machine } from "./machine.ts";
import { machineFor, tiesOf } from "./machine-choice.ts";
import { probeQemu } from "./probe.ts";
import type { MachineSize } from "./size.ts";
import { makeTemplate } from "./template-making.ts";
import { type TemplateRecord, templateKey } from "./templates.ts";

export interface WarmRequest {
	readonly host: Host;
	readonly cacheDirectory: string;
	readonly image: ImageRoot;
	/** Of the runs that shall wake from it: memory and processors decide the machine. */
	readonly limits: Pick<Limits, "memoryMiB" | "cpuMillicores">;
	readonly machine: "microvm" | "q35" | null;
}

export interface Warmed {
	readonly template: TemplateRecord;
	/** Whether it was there already. */
	readonly made: "now" | "before";
	readonly memoryMiB: number;
}

interface Wanted {
	readonly facts: QemuFacts;
	readonly emulator: Emulator;
	readonly machine: Machine;
	readonly size: MachineSize;
}

/** The machine that runs with these limits get here. Throws VouchError `driver-not-available`. */
export async function wantedMachine(request: WarmRequest): Promise<Wanted> {
	const { host, cacheDirectory, image } = request;
	const facts = await probeQemu(host, { cacheDirectory, image: async () => image });
	const emulator = facts.emulators[image.manifest.platform];
	if (emulator === undefined || facts.confinement === null || facts.trialError !== null) {
		const reason = facts.trialError ?? "a program that it needs is not installed";
		throw failures.fail("driver-not-available", {
			driver: "qemu",
			reason,
			fix: "`vouch doctor` says what is missing.",
		});
	}
	const limits: Limits = { ...NO_LIMITS, ...request.limits };
	const { machine, size } = machineFor(image, { machine: request.machine, workload: { limits } }, facts);
	return { facts, emulator, machine, size };
}

/** A template that runs of the image with these limits wake from. Throws VouchError `template-not-made` or `driver-not-available`. */
export async function warmImage(request: WarmRequest): Promise<Warmed> {
	const { host, cacheDirectory, image } = request;
	const { facts, emulator, machine } = await wantedMachine(request);
	const key = templateKey(tiesOf(machine, image.digest, emulator, facts));
	const known = facts.templates.find((template) => template.key === key);
	if (known !== undefined) return { template: known, made: "before", memoryMiB: machine.memoryMiB };
	const template = await makeTemplate({ host, cacheDirectory, facts, image, machine, emulator });
	return { template, made: "now", memoryMiB: machine.memoryMiB };
}
