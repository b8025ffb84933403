import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { digestOf, hexOfDigest } from "../../../core/index.ts";
import { platformSchema } from "../../../image/schema.ts";

const emulatorSchema = z.strictObject({ path: z.string(), version: z.string(), machines: z.array(z.string()) });

/** What took programs to be started to find out, and holds for as long as they are the same files. */
const triedProgramsSchema = z.strictObject({ emulators: z.partialRecord(platformSchema, emulatorSchema) });
export type TriedPrograms = z.infer<typeof triedProgramsSchema>;

/**
 * Asks `tryThem` once for these programs, this user and this boot of the machine; null from it is not remembered: what did not work
 * is tried again.
 */
export async function rememberPrograms(
	cacheDirectory: string,
	identity: readonly string[],
	tryThem: () => Promise<TriedPrograms | null>,
): Promise<TriedPrograms | null> {
	const folder = join(cacheDirectory, "programs");
	const path = join(folder, `${hexOfDigest(digestOf(JSON.stringify(identity))).slice(0, 32)}.json`);
	const known = await readFile(path, "utf8").then(
		(text) => triedProgramsSchema.safeParse(parsed(text)).data,
		() => undefined,
	);
	if (known !== undefined) return known;
	const found = await tryThem();
	if (found === null) return null;
	await mkdir(folder, { recursive: true, mode: 0o700 });
	const fresh = `${path}.${process.pid}`;
	await writeFile(fresh, `${JSON.stringify(found)}\n`, { mode: 0o600 });
	await rename(fresh, path);
	return found;
}

/** Another file, or one that was written again, is another program. */
export async function fileIdentity(path: string): Promise<string> {
	const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
	return [path, dev, ino, size, mtimeNs, ctimeNs].join(" ");
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
