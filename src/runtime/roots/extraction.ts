import { constants, createWriteStream } from "node:fs";
import { chmod, link, lstat, mkdir, readdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Header } from "tar-stream";

/** Bounds of one image: beyond them it is an attack on the disk, not an image. */
export interface ExtractionLimits {
	readonly maxBytes: number;
	readonly maxEntries: number;
}

export const DEFAULT_EXTRACTION_LIMITS: ExtractionLimits = { maxBytes: 32 * 2 ** 30, maxEntries: 2_000_000 };

/** An entry that no honest image holds. The whole image is refused, not the entry. */
export class HostileEntry extends Error {
	readonly entry: string;
	constructor(entry: string, reason: string) {
		super(reason);
		this.entry = entry;
	}
}

/** OCI image-spec 1.0 layer.md: `.wh.NAME` removes NAME of the layers below, `.wh..wh..opq` all that they put here. */
const [WHITEOUT_PREFIX, OPAQUE_WHITEOUT] = [".wh.", ".wh..wh..opq"];
const NO_SPECIAL_BITS = 0o1777;
const MAX_NAME_BYTES = 255;

/**
 * Unpacks layers, one over the other, into a folder that nobody else writes to. Every part of every path is looked at
 * before it is walked through and never followed when it is a link, so nothing is written outside of the folder.
 */
export class Extraction {
	readonly #root: string;
	readonly #limits: ExtractionLimits;
	/** Set at the end: a folder that may not be written must first be filled. */
	readonly #directoryModes = new Map<string, number>();
	#bytes = 0;
	#entries = 0;

	constructor(root: string, limits: ExtractionLimits = DEFAULT_EXTRACTION_LIMITS) {
		this.#root = root;
		this.#limits = limits;
	}

	/** One layer, as plain tar. Throws HostileEntry, or whatever reading it throws. */
	async addLayer(tar: Readable): Promise<void> {
		const fresh = new Set<string>();
		// Loaded here: most runs have no image.
		const { extract } = await import("tar-stream");
		const unpacker = extract();
		const feeding = pipeline(tar, unpacker);
		// Awaited below; until then a failure must not count as nobody's.
		feeding.catch(() => {});
		for await (const entry of unpacker) {
			await this.#add(entry.header, entry, fresh);
			entry.resume();
		}
		await feeding;
	}

	/** Gives the folders their modes. */
	async finish(): Promise<void> {
		for (const [path, mode] of this.#directoryModes) {
			// Always readable, enterable and removable by whoever unpacked it.
			if ((await lstat(path).catch(() => undefined))?.isDirectory()) await chmod(path, mode | 0o700);
		}
	}

	async #add(header: Header, body: AsyncIterable<unknown>, fresh: Set<string>): Promise<void> {
		this.#count(header);
		const parts = partsOf(header.name);
		const name = parts.at(-1);
		if (name === undefined) return;
		const parent = await this.#folderOf(header.name, parts.slice(0, -1));
		if (name === OPAQUE_WHITEOUT) return this.#removeOlder(parent, fresh);
		if (name.startsWith(WHITEOUT_PREFIX)) {
			const removed = partsOf(name.slice(WHITEOUT_PREFIX.length))[0];
			if (removed === undefined) throw new HostileEntry(header.name, "it removes nothing that has a name");
			return rm(join(parent, removed), { recursive: true, force: true });
		}
		fresh.add(join(parent, name));
		await this.#write(header, body, join(parent, name), parts);
	}

	async #write(header: Header, body: AsyncIterable<unknown>, path: string, parts: readonly string[]): Promise<void> {
		const mode = (header.mode ?? 0o644) & NO_SPECIAL_BITS;
		const there = await lstat(path).catch(() => undefined);
		if (header.type === "directory") {
			if (there !== undefined && !there.isDirectory()) await rm(path, { recursive: true });
			if (there === undefined || !there.isDirectory()) await mkdir(path, { mode: 0o700 });
			this.#directoryModes.set(path, mode);
			return;
		}
		// A hard link may name the very file that it would replace.
		const target = header.type === "link" ? await this.#linked(header) : undefined;
		if (target === path) return;
		if (there !== undefined) await rm(path, { recursive: true });
		switch (header.type) {
			case "file":
			case "contiguous-file": {
				const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
				await pipeline(body, createWriteStream(path, { flags: flags as unknown as string, mode: 0o600 }));
				return chmod(path, mode);
			}
			case "symlink":
				return symlink(textOf(header, header.linkname), path);
			case "link":
				return link(target ?? path, path);
			case "character-device":
			case "block-device":
			case "fifo":
				// A /dev that came along is never shown: every sandbox has its own.
				if (parts[0] === "dev") return;
				throw new HostileEntry(header.name, "it is a device or a pipe");
			default:
				throw new HostileEntry(header.name, `it is of an unknown type (${String(header.type)})`);
		}
	}

	/** The folder that the parts lead to, made where missing. */
	async #folderOf(entry: string, parts: readonly string[]): Promise<string> {
		let path = this.#root;
		for (const part of parts) {
			path = join(path, part);
			const there = await lstat(path).catch(() => undefined);
			if (there === undefined) await mkdir(path, { mode: 0o755 });
			else if (!there.isDirectory()) throw new HostileEntry(entry, "its path leads through a link or a file");
		}
		return path;
	}

	async #linked(header: Header): Promise<string> {
		const parts = partsOf(textOf(header, header.linkname));
		const path = join(await this.#folderOf(header.name, parts.slice(0, -1)), parts.at(-1) ?? "");
		const there = await lstat(path).catch(() => undefined);
		if (there?.isFile() || there?.isSymbolicLink()) return path;
		throw new HostileEntry(header.name, "it is a hard link to what is not a file of the image");
	}

	async #removeOlder(folder: string, fresh: ReadonlySet<string>): Promise<void> {
		for (const name of await readdir(folder)) {
			const path = join(folder, name);
			const isFresh = fresh.has(path) || [...fresh].some((one) => one.startsWith(`${path}/`));
			if (!isFresh) await rm(path, { recursive: true, force: true });
		}
	}

	#count(header: Header): void {
		this.#entries += 1;
		this.#bytes += header.size ?? 0;
		if (this.#entries > this.#limits.maxEntries) throw new HostileEntry(header.name, "the image has too many entries");
		if (this.#bytes > this.#limits.maxBytes) throw new HostileEntry(header.name, "the image is too large");
	}
}

function partsOf(name: string): readonly string[] {
	const parts = name.split("/").filter((part) => part !== "" && part !== ".");
	for (const part of parts) {
		if (part === "..") throw new HostileEntry(name, "its path leads upwards");
		if (part.includes("\0") || Buffer.byteLength(part) > MAX_NAME_BYTES)
			throw new HostileEntry(name, "its name is not a name");
	}
	return parts;
}

function textOf(header: Header, text: string | null | undefined): string {
	if (text === null || text === undefined || text === "" || text.includes("\0")) {
		throw new HostileEntry(header.name, "it is a link to nowhere");
	}
	return text;
}
