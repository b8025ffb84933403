import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { lstat, mkdir, open, readdir, readlink, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { VouchError } from "../../core/index.ts";
import { type Host, scanTree } from "../../host/index.ts";
import type { FolderRoot, RootEntry } from "../driver.ts";
import { failures } from "../failures.ts";
import { cachedRoot, temporaryRoot } from "./cache.ts";
import { Extraction, HostileEntry } from "./extraction.ts";
import { openLayer, readLayout } from "./layout.ts";
import { type PathKind, parseRootReference, type RootReference } from "./reference.ts";

export interface PrepareOptions {
	/** `$XDG_CACHE_HOME/vouch`. */
	readonly cacheDirectory: string;
	readonly host: Host;
}

/**
 * A root file system on disk for what `--image` says: a folder (used in place), a tar file, an OCI layout
 * (`oci:FOLDER[:TAG]`), or an image in a registry (`host:port/name:tag`).
 * Throws VouchError `image-not-readable` or `image-refused`.
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
		if (error instanceof HostileEntry) {
			throw failures.fail("image-refused", { reference, entry: error.entry, reason: error.message }, error);
		}
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
		case "tar":
			return cached(options, await digestOfFile(reference.path), async (extraction) => {
				await addArchive(extraction, createReadStream(reference.path));
			});
		case "layout":
			return unpackLayout(options, reference.path, reference.tag);
		case "registry":
			return unpackFromRegistry(options, reference);
	}
}

async function unpackLayout(options: PrepareOptions, directory: string, tag: string | null): Promise<string> {
	const image = await readLayout(directory, tag);
	return cached(options, image.manifest.slice("sha256:".length), async (extraction) => {
		for (const layer of image.layers) await addArchive(extraction, openLayer(directory, layer));
	});
}

const PULL_TIMEOUT_MS = 600_000;

async function unpackFromRegistry(
	options: PrepareOptions,
	reference: Extract<RootReference, { kind: "registry" }>,
): Promise<string> {
	const skopeo = await options.host.findProgram("skopeo");
	if (skopeo === undefined) throw new Error("skopeo is not installed: run `apt-get install -y skopeo`");
	const scratch = await temporaryRoot(options.cacheDirectory, "pull-");
	try {
		const tls = reference.transport === "loopback" ? ["--src-tls-verify=false"] : [];
		const argv = [
			skopeo,
			"copy",
			"--quiet",
			...tls,
			`docker://${reference.name}`,
			`oci:${scratch}/layout:image`,
		] as const;
		const pulled = await options.host.run([...argv], { timeoutMs: PULL_TIMEOUT_MS });
		if (pulled.exitCode !== 0) throw new Error(pulled.stderr.trim().split("\n").at(-1) ?? "skopeo failed");
		return await unpackLayout(options, join(scratch, "layout"), null);
	} finally {
		await rm(scratch, { recursive: true, force: true });
	}
}

function cached(
	options: PrepareOptions,
	name: string,
	unpack: (extraction: Extraction) => Promise<void>,
): Promise<string> {
	return cachedRoot(options.cacheDirectory, name, async (root) => {
		await mkdir(root);
		const extraction = new Extraction(root);
		await unpack(extraction);
		await extraction.finish();
	});
}

const GZIP_MAGIC = "1f8b";
const ZSTD_MAGIC = "28b52ffd";

/** Tar, plain or compressed: told by its first bytes, not by its name or media type. */
async function addArchive(extraction: Extraction, stored: Readable): Promise<void> {
	const tar = new PassThrough();
	const first = await firstChunk(stored);
	const magic = first.subarray(0, 4).toString("hex");
	stored.unshift(first);
	const decompress = magic.startsWith(GZIP_MAGIC)
		? createGunzip()
		: magic === ZSTD_MAGIC
			? createZstdDecompress()
			: new PassThrough();
	const feeding = pipeline(stored, decompress, tar);
	await Promise.all([feeding, extraction.addLayer(tar)]);
}

async function firstChunk(stream: Readable): Promise<Buffer> {
	for (;;) {
		const chunk: Buffer | null = stream.read();
		if (chunk !== null) return chunk;
		if (stream.readableEnded) throw new Error("the archive is empty");
		await new Promise<void>((done, fail) => {
			stream.once("readable", done);
			stream.once("end", done);
			stream.once("error", fail);
		});
	}
}

async function digestOfFile(path: string): Promise<string> {
	const hash = createHash("sha256");
	await using file = await open(path);
	for await (const chunk of file.createReadStream({ autoClose: false })) hash.update(chunk as Buffer);
	return hash.digest("hex");
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
