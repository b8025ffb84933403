import { createHash, type Hash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Digest } from "../../../core/index.ts";
import { openScratch, sweepScratch } from "../../../image/index.ts";
import { failures } from "../../failures.ts";
import { type BareMachine, type BareRequest, withBareMachine } from "./bare-machine.ts";
import { openMeetingPlace } from "./boot.ts";
import type { MachineControl } from "./control.ts";
import type { Emulator } from "./facts.ts";
import { PLACE } from "./machine.ts";
import { tiesOf } from "./machine-choice.ts";
import {
	RECORD_FILE,
	STATE_FILE,
	type TemplateRecord,
	templateFolder,
	templateKey,
	templatesFolder,
} from "./templates.ts";
import { untilWaiting, within } from "./waiting-machine.ts";

const SAVE_MS = 60_000;
const BYTES_PER_SECOND = 2 ** 40;

/**
 * Boots the image until it waits for a host, and saves it asleep. The machine has never heard of a run: no time, no entropy of the
 * host, no file, no name came in. Throws VouchError `template-not-made`.
 */
export async function makeTemplate(
	request: Omit<BareRequest, "channel" | "controlGroups"> & { readonly emulator: Emulator },
): Promise<TemplateRecord> {
	const { cacheDirectory, image, machine, emulator, facts } = request;
	const key = templateKey(tiesOf(machine, image.digest, emulator, facts));
	await mkdir(templatesFolder(cacheDirectory), { recursive: true, mode: 0o700 });
	await sweepScratch(templatesFolder(cacheDirectory));
	const scratch = openScratch(templatesFolder(cacheDirectory));
	try {
		const saved = await withBareMachine({ ...request, channel: "waiting", controlGroups: [] }, (bare) =>
			saveAsleep(bare, join(scratch.directory, STATE_FILE)),
		);
		const record: TemplateRecord = {
			schema: "vouch.template/v1",
			key,
			imageDigest: image.digest,
			stateDigest: saved.digest,
			stateBytes: saved.bytes,
			madeAt: new Date().toISOString(),
		};
		await keep(scratch.directory, record, templateFolder(cacheDirectory, key));
		return record;
	} catch (error) {
		const reason = error instanceof Error ? error.message : String(error);
		throw failures.fail("template-not-made", { image: image.digest, reason }, error);
	} finally {
		await scratch.remove();
	}
}

/** Whole or not at all: the two files get their folder's name at once. */
async function keep(from: string, record: TemplateRecord, place: string): Promise<void> {
	const whole = join(from, "whole");
	await mkdir(whole, { mode: 0o700 });
	await rename(join(from, STATE_FILE), join(whole, STATE_FILE));
	await writeFile(join(whole, RECORD_FILE), `${JSON.stringify(record)}\n`, { mode: 0o600 });
	await rm(place, { recursive: true, force: true });
	await rename(whole, place);
}

interface Saved {
	readonly digest: Digest;
	readonly bytes: number;
}

async function saveAsleep(bare: BareMachine, path: string): Promise<Saved> {
	await using statePlace = await openMeetingPlace(join(bare.sockets, "migration"));
	const { booted, control } = await untilWaiting(bare);
	// Unbounded: by default it takes seconds, to spare a network.
	await control.say("migrate-set-parameters", { "max-bandwidth": BYTES_PER_SECOND });
	// Not stopped before: a machine that was stopped when it was saved stays so when it wakes.
	await control.say("migrate", { uri: `unix:${PLACE.migration}` });
	const stream = await statePlace.meet(booted.supervised.ended);
	if (stream === null) throw new Error("QEMU ended while it was saved");
	const saved = await within(SAVE_MS, "saving it", receive(stream, path));
	await ended(control);
	return saved;
}

async function receive(stream: Socket, path: string): Promise<Saved> {
	const hash: Hash = createHash("sha256");
	let bytes = 0;
	const counted = new Transform({
		transform: (chunk: Buffer, _encoding, done) => {
			hash.update(chunk);
			bytes += chunk.length;
			done(null, chunk);
		},
	});
	await pipeline(stream, counted, createWriteStream(path, { mode: 0o600, flags: "wx" }));
	return { digest: `sha256:${hash.digest("hex")}` as Digest, bytes };
}

async function ended(control: MachineControl): Promise<void> {
	for (let waitedMs = 0; waitedMs < SAVE_MS; waitedMs += 10) {
		const found = (await control.say("query-migrate")) as { readonly status?: unknown };
		if (found.status === "completed") return;
		if (found.status === "failed") throw new Error("QEMU could not save it");
		await delay(10);
	}
	throw new Error("saving it took too long");
}
