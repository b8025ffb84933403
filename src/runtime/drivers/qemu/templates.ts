import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type Digest, digestOfJson, digestSchema, hexOfDigest, type Json } from "../../../core/index.ts";
import { type Machine, machineArguments, SLOT_BYTES } from "./machine.ts";

/**
 * A machine that fell asleep before it heard of any run: its memory and devices, as QEMU's migration stream. Whoever wakes it
 * reads the file; nobody writes it again.
 */
const templateSchema = z.strictObject({
	schema: z.literal("vouch.template/v1"),
	key: digestSchema,
	/** Of the image that it booted. */
	imageDigest: digestSchema,
	/** Of the state file's bytes. */
	stateDigest: digestSchema,
	stateBytes: z.int().positive(),
	madeAt: z.iso.datetime(),
});
export type TemplateRecord = z.infer<typeof templateSchema>;

export interface Template extends TemplateRecord {
	/** Absolute path of the state file. */
	readonly state: string;
}

/** Everything that must be equal for a machine to wake from a template. */
export interface TemplateTies {
	readonly machine: Machine;
	readonly imageDigest: Digest;
	readonly emulatorDigest: Digest;
	/** Changes with the host's kernel when hardware runs the guest; emulation does not depend on it. */
	readonly hardware: string | null;
}

/** Raised when what Vouch itself tells a machine or its guest changes. */
const GENERATION = 1;

export function templateKey(ties: TemplateTies): Digest {
	return digestOfJson({
		generation: GENERATION,
		arguments: [...machineArguments(ties.machine, "waiting", "cold")],
		slotBytes: SLOT_BYTES,
		image: ties.imageDigest,
		emulator: ties.emulatorDigest,
		hardware: ties.hardware,
	} as Json);
}

export function templatesFolder(cacheDirectory: string): string {
	return join(cacheDirectory, "templates");
}

export function templateFolder(cacheDirectory: string, key: Digest): string {
	return join(templatesFolder(cacheDirectory), hexOfDigest(key));
}

export const STATE_FILE = "state";
export const RECORD_FILE = "template.json";

/** Those that are whole. */
export async function listTemplates(cacheDirectory: string): Promise<readonly Template[]> {
	const folder = templatesFolder(cacheDirectory);
	const names = await readdir(folder).catch(() => []);
	const read = names.filter((name) => /^[0-9a-f]{64}$/.test(name)).map((name) => readTemplate(join(folder, name)));
	return (await Promise.all(read)).filter((template) => template !== null).sort((a, b) => (a.key < b.key ? -1 : 1));
}

async function readTemplate(folder: string): Promise<Template | null> {
	try {
		const record = templateSchema.parse(JSON.parse(await readFile(join(folder, RECORD_FILE), "utf8")));
		const state = join(folder, STATE_FILE);
		const found = await stat(state);
		const whole = found.size === record.stateBytes && folder.endsWith(hexOfDigest(record.key));
		return whole ? { ...record, state } : null;
	} catch {
		return null;
	}
}
