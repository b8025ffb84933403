import { randomBytes } from "node:crypto";
import { chmod, mkdir, rm, truncate } from "node:fs/promises";
import type { Host } from "../../../host/index.ts";
import type { LaunchSecrets, Run } from "../../driver.ts";
import { ENTROPY_BYTES, GuestSession, type SetupRecord, setupBytes } from "../../guest/index.ts";
import { GUEST } from "../../view/index.ts";
import { type BuiltDisk, buildDisk, scratchDisk } from "../../workspace-disk/index.ts";
import { blankDisk, DISK_MODE } from "./bare-machine.ts";
import { gateDoor, openMeetingPlace, startMachine } from "./boot.ts";
import type { PlannedDisk } from "./disks.ts";
import { GuestRun } from "./guest-run.ts";
import { SLOT_BYTES } from "./machine.ts";
import type { QemuPlan } from "./plan.ts";

/** Exactly the plan: makes the disks, starts the machine, greets its guest, and tells it what to run. */
export async function startQemu(plan: QemuPlan, secrets: LaunchSecrets, host: Host): Promise<Run> {
	await mkdir(plan.folder, { recursive: true, mode: 0o700 });
	try {
		const [place, work] = await Promise.all([openMeetingPlace(plan.channelSocket), makeDisks(plan, host)]);
		await using _ = place;
		const booted = await startMachine(plan.supervision, host);
		const socket = await place.meet(booted.supervised.ended);
		const run = new GuestRun(plan, booted, work);
		if (socket !== null) {
			await run.begin(
				new GuestSession(socket, {
					gate: gateDoor(plan.gate),
					times: plan.times,
					onEvent: (event) => run.note(event),
					entropy: () => randomBytes(ENTROPY_BYTES),
					wallClockNs: () => BigInt(Date.now()) * 1_000_000n,
				}),
				setupBytes([...plan.setup, ...variables(plan, secrets), { kind: "run" }]),
			);
		}
		return run.asRun();
	} catch (error) {
		await rm(plan.folder, { recursive: true, force: true });
		throw error;
	}
}

function variables(plan: QemuPlan, secrets: LaunchSecrets): readonly SetupRecord[] {
	const all = Object.entries({ ...plan.baseEnvironment, ...secrets.environment });
	return all.map(([name, value]): SetupRecord => ({ kind: "environment", name, value }));
}

/** What the workspace's disk could not show, and what it did. */
async function makeDisks(plan: QemuPlan, host: Host): Promise<BuiltDisk | null> {
	const made = await Promise.all(plan.disks.map((disk) => makeDisk(disk, host)));
	return made.find((disk) => disk?.baseline !== undefined && disk.baseline !== null) ?? null;
}

async function makeDisk({ path, content }: PlannedDisk, host: Host): Promise<BuiltDisk | null> {
	switch (content.kind) {
		case "image":
			return null;
		case "empty":
			await blankDisk(path);
			return null;
		case "packed": {
			const owner = { userId: GUEST.userId, groupId: GUEST.groupId };
			const built = await buildDisk({ path, parts: content.parts, owner, virtualSizeBytes: SLOT_BYTES });
			await chmod(path, DISK_MODE);
			return built;
		}
		case "scratch":
			await scratchDisk({ path, sizeBytes: content.sizeMiB * 2 ** 20, host });
			await truncate(path, SLOT_BYTES);
			await chmod(path, DISK_MODE);
			return null;
	}
}
