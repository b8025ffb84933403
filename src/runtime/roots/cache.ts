import { statSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** The unpacked root of that name: unpacked beside its place and moved there whole, so that it is there or it isn't. */
export async function cachedRoot(
	cacheDirectory: string,
	name: string,
	unpack: (folder: string) => Promise<void>,
): Promise<string> {
	const place = join(cacheDirectory, "roots", name);
	if (statSync(place, { throwIfNoEntry: false })?.isDirectory()) return place;
	const scratch = await temporaryRoot(cacheDirectory, "unpack-");
	try {
		const root = join(scratch, "root");
		await unpack(root);
		await rename(root, place).catch((error: NodeJS.ErrnoException) => {
			// Another process unpacked the same image meanwhile; its copy is as good.
			if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
		});
		return place;
	} finally {
		await rm(scratch, { recursive: true, force: true });
	}
}

async function temporaryRoot(cacheDirectory: string, prefix: string): Promise<string> {
	const roots = join(cacheDirectory, "roots");
	await mkdir(roots, { recursive: true, mode: 0o700 });
	return mkdtemp(join(roots, prefix));
}
