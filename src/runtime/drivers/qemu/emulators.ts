import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { digestOf, hexOfDigest } from "../../../core/index.ts";
import type { Host } from "../../../host/index.ts";
import { platformSchema } from "../../../image/schema.ts";
import type { Emulator, QemuFacts } from "./facts.ts";
import { programOf } from "./machine.ts";

const emulatorSchema = z.strictObject({ path: z.string(), version: z.string(), machines: z.array(z.string()) });

/** Each QEMU of this machine and what it says of itself: asked once, and remembered for as long as it is the same file. */
export async function findEmulators(host: Host, cacheDirectory: string): Promise<QemuFacts["emulators"]> {
	const found = await Promise.all(
		platformSchema.options.map(async (platform) => {
			const path = await host.findProgram(programOf(platform));
			const emulator = path === undefined ? null : await findEmulator(host, path, join(cacheDirectory, "emulators"));
			return emulator === null ? [] : [[platform, emulator] as const];
		}),
	);
	return Object.fromEntries(found.flat());
}

async function findEmulator(host: Host, path: string, folder: string): Promise<Emulator | null> {
	const identity = await identityOf(path);
	if (identity === null) return askEmulator(host, path);
	const memory = join(folder, `${hexOfDigest(digestOf(identity)).slice(0, 32)}.json`);
	const known = await read(memory);
	if (known !== null) return known;
	const found = await askEmulator(host, path);
	if (found !== null) await write(memory, folder, found).catch(() => {}); // a full disk is no reason against a run
	return found;
}

/** Another file, or one that was written again, is another program. */
async function identityOf(path: string): Promise<string | null> {
	const file = await stat(path, { bigint: true }).catch(() => null);
	return file === null ? null : [path, file.dev, file.ino, file.size, file.mtimeNs, file.ctimeNs].join(" ");
}

async function read(path: string): Promise<Emulator | null> {
	try {
		return emulatorSchema.parse(JSON.parse(await readFile(path, "utf8")));
	} catch {
		return null;
	}
}

async function write(path: string, folder: string, emulator: Emulator): Promise<void> {
	await mkdir(folder, { recursive: true, mode: 0o700 });
	const fresh = `${path}.${process.pid}`;
	await writeFile(fresh, `${JSON.stringify(emulator)}\n`, { mode: 0o600 });
	await rename(fresh, path);
}

async function askEmulator(host: Host, path: string): Promise<Emulator | null> {
	const [version, machines] = await Promise.all([host.run([path, "--version"]), host.run([path, "-machine", "help"])]);
	const said = version.stdout.split("\n")[0]?.trim() ?? "";
	const names = machines.stdout
		.split("\n")
		.slice(1)
		.map((line) => line.split(" ")[0] ?? "");
	return said === "" ? null : { path, version: said, machines: names.filter((name) => name !== "") };
}
