import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Digest, hexOfDigest, VouchError } from "../../core/index.ts";
import { type Host, scanTree } from "../../host/index.ts";
import type { RootfsSource } from "../../image/index.ts";
import type { Platform } from "../../image/schema.ts";
import type { FolderRoot, RootEntry } from "../driver.ts";
import { failures } from "../failures.ts";
import { cachedRoot } from "./cache.ts";
import { type PathKind, parseRootReference, type RootReference } from "./reference.ts";

export interface PrepareOptions {
	/** `$XDG_CACHE_HOME/vouch`. */
	readonly cacheDirectory: string;
	readonly host: Host;
}

/**
 * A root file system on disk for what `--image` says: a folder (used in place), a file (tar, OCI archive, `docker save`), an OCI
 * layout (`oci:FOLDER[:TAG]`), or an image in a registry (`host:port/name:tag`).
 * Throws VouchError `image-not-readable`, `rootfs-refused`, or what fetching throws.
 */
export async function prepareFolder(reference: string, options: PrepareOptions): Promise<FolderRoot> {
	try {
		const parsed = parseRootReference(reference, pathKind);
		if (parsed === undefined) throw new Error("there is no such folder, tar file or image reference");
		const directory = await materialize(parsed, options);
		// Each root's cache holds file digests by path, so a root that didn't change isn't read again.
		const cacheFile = join(
			options.cacheDirectory,
			"root-digests",
			createHash("sha256").update(directory).digest("hex"),
		);
		const { digest, problems } = await scanTree(directory, { cacheFile });
		const [problem] = problems;
		if (problem !== undefined) throw new Error(`${problem.path} could not be read`);
		return { kind: "folder", directory, digest, entries: await rootEntries(directory) };
	} catch (error) {
		if (error instanceof VouchError) throw error;
		throw failures.fail("image-not-readable", { reference, reason: sentenceOf(error) }, error);
	}
}

function sentenceOf(error: unknown): string {
	return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}

export function pathKind(path: string): PathKind {
	const found = statSync(path, { throwIfNoEntry: false });
	if (found === undefined) return "missing";
	if (found.isFile()) return "file";
	if (!found.isDirectory()) return "missing";
	return statSync(join(path, "oci-layout"), { throwIfNoEntry: false })?.isFile() ? "layout" : "directory";
}

async function materialize(reference: RootReference, options: PrepareOptions): Promise<string> {
	switch (reference.kind) {
		case "directory":
			return resolve(reference.path);
		case "tar": {
			const { measureFile, recogniseSource } = await import("../../image/index.ts");
			const source = await recogniseSource(reference.path, { host: options.host });
			return unpacked(source, (await measureFile(reference.path)).digest, options);
		}
		case "layout":
			return unpackedLayout(reference.path, reference.tag, options);
		case "registry":
			return unpackedLayout(await fetched(reference.name, options), null, options);
	}
}

async function unpackedLayout(path: string, tag: string | null, options: PrepareOptions): Promise<string> {
	const { layoutManifest } = await import("../../image/index.ts");
	const manifestDigest = await layoutManifest(path, tag, await platformHere());
	return unpacked({ kind: "oci-layout", path, tag }, manifestDigest, options);
}

const FETCH_TIMEOUT_MS = 600_000;

/** Folder of an OCI layout in the cache that builds of images share. The registry is asked each time what the name means. */
async function fetched(reference: string, { host, cacheDirectory }: PrepareOptions): Promise<string> {
	const { copyImage, resolveImage } = await import("../../image/index.ts");
	const asked = { host, platform: await platformHere(), signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) };
	const digest = await resolveImage(reference, asked);
	return copyImage(reference, digest, { ...asked, cacheDirectory: join(cacheDirectory, "image"), onLine: () => {} });
}

/** In the cache by the digest of what it is read from. */
function unpacked(source: RootfsSource, digest: Digest, { host, cacheDirectory }: PrepareOptions): Promise<string> {
	return cachedRoot(cacheDirectory, hexOfDigest(digest), async (root) => {
		const { readSource, unpackTree } = await import("../../image/index.ts");
		const scratchDirectory = dirname(root);
		await using read = await readSource(source, { platform: await platformHere(), scratchDirectory, host });
		await unpackTree(read.tree, root);
	});
}

async function platformHere(): Promise<Platform> {
	const { machinePlatform } = await import("../../image/index.ts");
	const platform = machinePlatform();
	if (platform === undefined) throw new Error(`there are no images for machines of the kind ${process.arch}`);
	return platform;
}

export async function rootEntries(directory: string): Promise<readonly RootEntry[]> {
	const listed = await Promise.all(["/", "/etc"].map((folder) => folderEntries(directory, folder)));
	return listed.flat().sort((left, right) => (left.path < right.path ? -1 : 1));
}

async function folderEntries(root: string, folder: string): Promise<readonly RootEntry[]> {
	// A linked /etc could be the machine's own.
	if (!(await lstat(join(root, folder)).catch(() => undefined))?.isDirectory()) return [];
	const entries = await readdir(join(root, folder), { withFileTypes: true });
	return Promise.all(
		entries.map(async (entry): Promise<RootEntry> => {
			const path = `${folder === "/" ? "" : folder}/${entry.name}`;
			if (entry.isSymbolicLink()) return { path, kind: "link", target: await readlink(join(root, path)) };
			return { path, kind: entry.isDirectory() ? "directory" : entry.isFile() ? "file" : "other", target: "" };
		}),
	);
}
