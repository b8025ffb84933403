import { chmod, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newId, type RunId } from "../../../core/index.ts";
import type { Host, SupervisionSpec } from "../../../host/index.ts";
import { openScratch, sweepScratch } from "../../../image/index.ts";
import type { ImageRoot } from "../../driver.ts";
import { type Booted, startMachine } from "./boot.ts";
import { type Confinement, confinedArguments } from "./confinement.ts";
import { shownFiles } from "./disks.ts";
import type { Emulator, QemuFacts } from "./facts.ts";
import { type ChannelEnd, DISKS, type Machine, machineArguments, SLOT_BYTES } from "./machine.ts";
import { rightsFor } from "./machine-choice.ts";

/** A machine that boots an image for no run: its disks are empty, and it hears nothing that it could keep. */
export interface BareRequest {
	readonly host: Host;
	readonly cacheDirectory: string;
	readonly facts: QemuFacts;
	readonly image: ImageRoot;
	readonly machine: Machine;
	readonly channel: ChannelEnd;
	readonly controlGroups: SupervisionSpec["controlGroups"];
}

export interface BareMachine {
	/** Its own: its disks are there, by their roles. */
	readonly folder: string;
	/** Where sockets of `PLACE.sockets` are on this machine. */
	readonly sockets: string;
	start(): Promise<Booted>;
}

/** Gives `use` a machine that is not started yet, and leaves nothing of it. */
export async function withBareMachine<Result>(
	request: BareRequest,
	use: (machine: BareMachine) => Promise<Result>,
): Promise<Result> {
	const { confinement, emulators } = request.facts;
	const emulator = emulators[request.machine.platform];
	if (confinement === null || emulator === undefined) throw new TypeError("there is no QEMU for this image");
	const machines = join(request.cacheDirectory, "machines");
	// What a killed one left.
	await sweepScratch(machines);
	const scratch = openScratch(machines);
	let booted: Booted | undefined;
	try {
		const sockets = join(scratch.directory, "sockets");
		const disks = await blankDisks(scratch.directory, request.image);
		return await use({
			folder: scratch.directory,
			sockets,
			start: async () => {
				booted = await startMachine(supervisionOf(request, { emulator, confinement, disks, sockets }), request.host);
				return booted;
			},
		});
	} finally {
		booted?.supervised.kill();
		await booted?.supervised.ended;
		await scratch.remove();
	}
}

type BareDisk = Parameters<typeof shownFiles>[1][number];

async function blankDisks(folder: string, image: ImageRoot): Promise<readonly BareDisk[]> {
	const blank = DISKS.filter((role) => role !== "root").map(async (role): Promise<BareDisk> => {
		const path = join(folder, role);
		await blankDisk(path);
		return { role, path };
	});
	return [{ role: "root", path: image.files.disk }, ...(await Promise.all(blank))];
}

/** QEMU's user is not ours; nobody else gets past the folder that a disk is in. */
export const DISK_MODE = 0o666;

/** All holes. */
export async function blankDisk(path: string): Promise<void> {
	await writeFile(path, "", { mode: 0o600, flag: "wx" });
	await truncate(path, SLOT_BYTES);
	await chmod(path, DISK_MODE);
}

interface Parts {
	readonly emulator: Emulator;
	readonly confinement: Confinement;
	readonly disks: readonly BareDisk[];
	readonly sockets: string;
}

function supervisionOf(
	{ machine, facts, image, channel, controlGroups }: BareRequest,
	{ emulator, confinement, disks, sockets }: Parts,
): Omit<SupervisionSpec, "environment" | "descriptors"> {
	return {
		wrapper: [],
		controlGroups,
		resourceLimits: [{ name: "CORE", value: 0 }],
		privateMounts: null,
		network: null,
		argv: confinedArguments(confinement, {
			...rightsFor(machine, facts, newId<RunId>(Date.now())),
			files: shownFiles(image.files, disks, sockets, null),
			stateFile: null,
			argv: [emulator.path, ...machineArguments(machine, channel, "cold")],
		}),
		workingDirectory: "/",
		signalTarget: "program",
		diskWriteBytes: null,
		afterwards: [],
	};
}
