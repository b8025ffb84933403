import { randomBytes } from "node:crypto";
import { chmod, copyFile, mkdir, rm, truncate } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { Host } from "../../../host/index.ts";
import type { LaunchSecrets, Run } from "../../driver.ts";
import { ENTROPY_BYTES, GuestSession, wholeSetup } from "../../guest/index.ts";
import { GUEST } from "../../view/index.ts";
import { type BuiltDisk, buildDisk, scratchDisk } from "../../workspace-disk/index.ts";
import { blankDisk, DISK_MODE } from "./bare-machine.ts";
import { type Booted, gateDoor, openMeetingPlace, startMachine } from "./boot.ts";
import type { PlannedDisk } from "./disks.ts";
import { GuestRun } from "./guest-run.ts";
import { SLOT_BYTES } from "./machine.ts";
import type { QemuPlan } from "./plan.ts";
import { takeMachine } from "./pooled-machine.ts";
import type { PoolPlace } from "./pools.ts";

/**
 * Exactly the plan: makes the disks, starts or takes the machine, and once it may go greets its guest and tells it what to run.
 */
export async function startQemu(plan: QemuPlan, secrets: LaunchSecrets, host: Host): Promise<Run> {
	const go = Promise.resolve(secrets.go);
	go.catch(() => {}); // seen below
	const met = plan.pool === null ? await startOwn(plan, host) : await takePooled(plan, plan.pool, host);
	await go.catch(async (error) => {
		met.booted.supervised.kill();
		await met.booted.supervised.ended;
		await rm(met.folder, { recursive: true, force: true });
		throw error;
	});
	const run = new GuestRun({ ...plan, folder: met.folder }, met.booted, met.work);
	if (met.channel !== null) {
		await run.begin(
			new GuestSession(met.channel, {
				gate: gateDoor(plan.gate),
				times: plan.times,
				onEvent: (event) => run.note(event),
				entropy: () => randomBytes(ENTROPY_BYTES),
				wallClockNs: () => BigInt(Date.now()) * 1_000_000n,
			}),
			await wholeSetup(plan, secrets.environment),
		);
	}
	return run.asRun();
}

/** A machine with its disks, whose guest is at the other end of the channel; null when it ended before. */
interface Met {
	readonly booted: Booted;
	readonly channel: Socket | null;
	readonly folder: string;
	readonly work: BuiltDisk | null;
}

async function startOwn(plan: QemuPlan, host: Host): Promise<Met> {
	const { folder } = plan;
	await mkdir(folder, { recursive: true, mode: 0o700 });
	try {
		const [place, work] = await Promise.all([openMeetingPlace(plan.channelSocket), makeDisks(plan, host)]);
		await using _ = place;
		const booted = await startMachine(plan.supervision, host);
		return { booted, channel: await place.meet(booted.supervised.ended), folder, work };
	} catch (error) {
		await rm(folder, { recursive: true, force: true });
		throw error;
	}
}

/** Its disks are there already, empty: they are filled where they are, since QEMU holds them. */
async function takePooled(plan: QemuPlan, pool: PoolPlace, host: Host): Promise<Met> {
	const { booted, folder, connect } = await takeMachine(pool, plan);
	try {
		const [place, work] = await Promise.all([
			openMeetingPlace(join(folder, "sockets", "channel")),
			fillDisks(plan, folder, host),
		]);
		await using _ = place;
		connect();
		return { booted, channel: await place.meet(booted.supervised.ended), folder, work };
	} catch (error) {
		booted.supervised.kill();
		throw error;
	}
}

type Made = BuiltDisk | null;

/** What the workspace's disk could not show, and what it did. */
function workOf(made: readonly Made[]): BuiltDisk | null {
	return made.find((disk) => disk?.baseline !== undefined && disk.baseline !== null) ?? null;
}

async function makeDisks(plan: QemuPlan, host: Host): Promise<BuiltDisk | null> {
	return workOf(await Promise.all(plan.disks.map((disk) => makeDisk(disk, host))));
}

async function makeDisk({ path, content }: PlannedDisk, host: Host): Promise<Made> {
	if (content.kind === "image") return null;
	if (content.kind === "empty") {
		await blankDisk(path);
		return null;
	}
	const made = content.kind === "packed" ? await packDisk(path, content.parts) : null;
	if (content.kind === "scratch") {
		await scratchDisk({ path, sizeBytes: content.sizeMiB * 2 ** 20, place: "new", host });
	}
	await truncate(path, SLOT_BYTES);
	await chmod(path, DISK_MODE);
	return made;
}

async function fillDisks(plan: QemuPlan, folder: string, host: Host): Promise<BuiltDisk | null> {
	const fill = async ({ role, content }: PlannedDisk): Promise<Made> => {
		const path = join(folder, role);
		if (content.kind === "scratch") {
			await scratchDisk({ path, sizeBytes: content.sizeMiB * 2 ** 20, place: "there", host });
			await truncate(path, SLOT_BYTES);
		}
		if (content.kind !== "packed") return null;
		const fresh = `${path}.fresh`;
		const made = await packDisk(fresh, content.parts);
		await copyFile(fresh, path);
		await rm(fresh);
		await truncate(path, SLOT_BYTES);
		return made;
	};
	return workOf(await Promise.all(plan.disks.map(fill)));
}

function packDisk(
	path: string,
	parts: readonly { readonly source: string; readonly at: string }[],
): Promise<BuiltDisk> {
	const owner = { userId: GUEST.userId, groupId: GUEST.groupId };
	return buildDisk({ path, parts, owner, limits: { maxTotalBytes: SLOT_BYTES } });
}
