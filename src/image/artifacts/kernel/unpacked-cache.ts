import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type Digest, digestOf, digestOfJson, digestSchema, hexOfDigest, type Json } from "../../../core/index.ts";
import { openScratch, sweepScratch } from "../../scratch/index.ts";
import { syncFile } from "./cached-file.ts";
import type { Kernel } from "./unpack.ts";

/** Of what is written here and how it is made: a change of either must not find what was kept before. */
const GENERATION = 4;

const fileName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]*\.ko$/);
const indexSchema = z.strictObject({
	release: z.string(),
	kernel: digestSchema,
	modules: z.array(z.strictObject({ name: fileName, digest: digestSchema })),
});

/** Names what a package gives when it is taken apart for that use. */
export function unpackedKey(use: { readonly [name: string]: Json }): Digest {
	return digestOfJson({ ...use, generation: GENERATION });
}

function folderOf(cacheDirectory: string, key: Digest): string {
	return join(cacheDirectory, "kernels", "unpacked", hexOfDigest(key));
}

/** Undefined when it isn't kept, or isn't any more what was kept. */
export async function readUnpacked(cacheDirectory: string, key: Digest): Promise<Kernel | undefined> {
	const folder = folderOf(cacheDirectory, key);
	try {
		const index = indexSchema.parse(JSON.parse(await readFile(join(folder, "index.json"), "utf8")));
		const read = async (name: string, digest: Digest) => {
			const bytes = await readFile(join(folder, name));
			if (digestOf(bytes) !== digest) throw new Error(`${name} is not what it was`);
			return bytes;
		};
		return {
			release: index.release,
			bytes: await read("kernel", index.kernel),
			modules: await Promise.all(
				index.modules.map(async ({ name, digest }) => ({ name, bytes: await read(name, digest) })),
			),
		};
	} catch {
		return undefined;
	}
}

/** Whole or not at all. A cache that can't be written costs time, not the kernel. */
export async function keepUnpacked(cacheDirectory: string, key: Digest, kernel: Kernel): Promise<void> {
	const kernels = join(cacheDirectory, "kernels");
	try {
		await mkdir(join(kernels, "unpacked"), { recursive: true, mode: 0o755 });
		await sweepScratch(kernels);
		await using scratch = disposable(openScratch(kernels));
		const making = join(scratch.directory, "unpacked");
		await mkdir(making, { mode: 0o755 });
		const index = {
			release: kernel.release,
			kernel: digestOf(kernel.bytes),
			modules: kernel.modules.map(({ name, bytes }) => ({ name, digest: digestOf(bytes) })),
		};
		const files = [{ name: "kernel", bytes: kernel.bytes }, ...kernel.modules];
		for (const { name, bytes } of files) await writeFile(join(making, name), bytes, { flag: "wx" });
		await writeFile(join(making, "index.json"), JSON.stringify(index), { flag: "wx" });
		await syncFile(join(making, "index.json"));
		await replaceFolder(making, folderOf(cacheDirectory, key), join(scratch.directory, "old"));
	} catch {
		// Another process may have kept the same at the same time; all else shows when the next one looks.
	}
}

async function replaceFolder(from: string, to: string, aside: string): Promise<void> {
	// What is there already was found to be damaged.
	await rename(to, aside).catch(() => {});
	await rename(from, to);
}

function disposable<T extends { remove(): Promise<void> }>(scratch: T): T & AsyncDisposable {
	return Object.assign(scratch, { [Symbol.asyncDispose]: () => scratch.remove() });
}
