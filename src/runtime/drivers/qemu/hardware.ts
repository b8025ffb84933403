import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { digestOf, hexOfDigest } from "../../../core/index.ts";
import { type Host, virtualisationWorks } from "../../../host/index.ts";
import type { ProbeContext } from "../../driver.ts";
import { emulatorDigest, type Hardware, type QemuFacts } from "./facts.ts";

const outcomeSchema = z.strictObject({ works: z.boolean(), found: z.string().max(1000) });

/**
 * A device that is there proves nothing: on nested hosts a few instructions run and a kernel hangs. So an image's own kernel is
 * booted once, with a time limit, and what came of it is remembered until the machine boots again or QEMU changes.
 */
export async function findHardware(
	host: Host,
	context: ProbeContext,
	facts: Omit<QemuFacts, "hardware">,
): Promise<Hardware> {
	const [kernel, bootId, cpuInfo] = await Promise.all([
		host.readText("/proc/sys/kernel/osrelease"),
		host.readText("/proc/sys/kernel/random/boot_id"),
		host.readText("/proc/cpuinfo"),
	]);
	const model = /^model name\s*:\s*(.*)$/m.exec(cpuInfo ?? "")?.[1] ?? "";
	const identity = `${model} ${kernel?.trim() ?? ""}`;
	const not = (found: string): Hardware => ({ works: false, found, host: identity });
	if (!(await host.exists("/dev/kvm"))) return not("this machine has no /dev/kvm");
	if (!(await host.isWritable("/dev/kvm"))) return not("/dev/kvm is not this user's to open");
	if (host.userId === 0 && facts.deviceGroup === null) {
		return not("/dev/kvm is root's alone, and QEMU does not run as root: chgrp kvm /dev/kvm && chmod 660 /dev/kvm");
	}
	const emulator = facts.platform === null ? undefined : facts.emulators[facts.platform];
	if (emulator === undefined || facts.confinement === null || facts.trialError !== null) return not("not tried");
	const name = hexOfDigest(digestOf(`${bootId}\n${emulatorDigest(emulator)}`)).slice(0, 32);
	const memory = new OutcomeMemory(join(context.cacheDirectory, "hardware"), name);
	const known = await memory.read();
	if (known !== null) return { ...known, host: identity };
	const { works, found } = await virtualisationWorks();
	if (!works) return not(found);
	const image = await context.image();
	if (image === undefined) return not("not tried yet: there is no image whose kernel could be booted");
	const { tryHardware } = await import("./hardware-trial.ts");
	const assumed = { ...facts, hardware: { works: true, found: "", host: identity } };
	const outcome = await tryHardware(host, context, assumed, image);
	await memory.write(outcome);
	return { ...outcome, host: identity };
}

/** One small file per boot of the machine; those of earlier boots are removed. */
class OutcomeMemory {
	readonly #folder: string;
	readonly #path: string;

	constructor(folder: string, name: string) {
		this.#folder = folder;
		this.#path = join(folder, `${name}.json`);
	}

	async read(): Promise<z.infer<typeof outcomeSchema> | null> {
		try {
			return outcomeSchema.parse(JSON.parse(await readFile(this.#path, "utf8")));
		} catch {
			return null;
		}
	}

	async write(outcome: z.infer<typeof outcomeSchema>): Promise<void> {
		await mkdir(this.#folder, { recursive: true, mode: 0o700 });
		const old = (await readdir(this.#folder)).filter((file) => /^[0-9a-f]{32}\.json$/.test(file));
		for (const file of old) await rm(join(this.#folder, file), { force: true });
		await writeFile(`${this.#path}.new`, `${JSON.stringify(outcome)}\n`, { mode: 0o600 });
		await rename(`${this.#path}.new`, this.#path);
	}
}
