import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Digest } from "../../core/index.ts";
import type { Host } from "../../host/index.ts";
import {
	type EntryKind,
	type ListingOptions,
	MAX_ENTRIES,
	type TreeEntry,
	type TreeListing,
	UnreadableDisk,
} from "./entry.ts";
import { fail } from "./failures.ts";

export interface SquashfsOptions extends ListingOptions {
	readonly host: Host;
	/** An empty folder for what is unpacked on the way: as much as the files are. */
	readonly scratchDirectory: string;
}

const TIMEOUT_MS = 600_000;
const CHUNK_BYTES = 2 ** 20;
const DATA = "# START OF DATA - DO NOT MODIFY";
const KINDS: Readonly<Record<string, EntryKind>> = {
	D: "directory",
	R: "file",
	S: "symlink",
	C: "character-device",
	B: "block-device",
	I: "fifo",
};

/**
 * What is on a squashfs, by unsquashfs: it writes a list of the entries and behind it the contents of all files, and nothing is
 * unpacked under a name of the image's choosing. It does not tell xattrs. Throws UnreadableDisk, `image-reader-missing`.
 */
export async function listSquashfs(path: string, options: SquashfsOptions): Promise<TreeListing> {
	const program = await options.host.findProgram("unsquashfs");
	if (program === undefined) throw fail("image-reader-missing");
	const pseudo = join(options.scratchDirectory, "pseudo");
	const { exitCode, stderr } = await options.host.run([program, "-pf", pseudo, path], { timeoutMs: TIMEOUT_MS });
	options.signal?.throwIfAborted();
	if (exitCode !== 0) throw new UnreadableDisk(stderr.trim().split("\n").at(-1) ?? "unsquashfs can't read it");
	const { entries, dataAt } = await readList(pseudo);
	await using file = await open(pseudo);
	const listing = new Map<string, TreeEntry>();
	for (const { path: name, entry, offset } of entries) {
		options.signal?.throwIfAborted();
		const contentDigest = entry.kind === "file" ? await digestAt(file, dataAt + offset, entry.sizeBytes) : null;
		listing.set(name, { ...entry, contentDigest });
	}
	for (const { path: name, linkTo } of entries) {
		const linked = linkTo === undefined ? undefined : listing.get(linkTo);
		if (linked !== undefined) listing.set(name, linked);
	}
	return listing;
}

interface Listed {
	readonly path: string;
	readonly entry: TreeEntry;
	readonly offset: number;
	readonly linkTo?: string;
}

async function readList(pseudo: string): Promise<{ readonly entries: readonly Listed[]; readonly dataAt: number }> {
	const entries: Listed[] = [];
	let dataAt = 0;
	let ended = false;
	// latin1, so that a character is a byte, in lengths too.
	const lines = createInterface({ input: createReadStream(pseudo, { encoding: "latin1" }), crlfDelay: 0 });
	for await (const line of lines) {
		dataAt += line.length + 1;
		// One more `#` line, then the bytes.
		if (ended) break;
		if (line === DATA) ended = true;
		else if (!line.startsWith("#") && line !== "") entries.push(listedOf(line));
		if (entries.length > MAX_ENTRIES) throw new UnreadableDisk("it has too many entries");
	}
	lines.close();
	return { entries, dataAt };
}

/** `path TYPE time mode uid gid …`; spaces and backslashes in the path have a backslash before them. */
function listedOf(line: string): Listed {
	const match = /^((?:[^ \\]|\\.)+) ([A-Z]) (.*)$/s.exec(line);
	const [, rawPath = "", type = "", rest = ""] = match ?? [];
	const path = unescaped(rawPath).replace(/^\/+/, "");
	if (type === "L") return { path, entry: entryOf("file", ["0", "0", "0", "0"]), offset: 0, linkTo: unescaped(rest) };
	const kind = KINDS[type];
	if (match === null || kind === undefined) throw new UnreadableDisk("unsquashfs lists it in an unknown form");
	const fields = rest.split(" ");
	const entry = entryOf(kind, fields);
	if (kind === "file") return { path, entry: { ...entry, sizeBytes: Number(fields[4]) }, offset: Number(fields[5]) };
	if (kind === "symlink") {
		const target = fields.slice(4).join(" ");
		return { path, entry: { ...entry, target, sizeBytes: target.length }, offset: 0 };
	}
	const device = kind.endsWith("device") ? `${fields[4]}:${fields[5]}` : null;
	return { path, entry: { ...entry, device }, offset: 0 };
}

function entryOf(kind: EntryKind, [, mode = "0", uid = "0", gid = "0"]: readonly string[]): TreeEntry {
	return {
		kind,
		mode: Number.parseInt(mode, 8),
		uid: Number(uid),
		gid: Number(gid),
		sizeBytes: 0,
		contentDigest: null,
		target: null,
		device: null,
		xattrs: null,
	};
}

function unescaped(text: string): string {
	return text.replace(/\\(.)/gs, "$1");
}

async function digestAt(file: FileHandle, at: number, size: number): Promise<Digest> {
	const hash = createHash("sha256");
	const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(1, size)));
	for (let done = 0; done < size; ) {
		const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, size - done), at + done);
		if (bytesRead === 0) throw new UnreadableDisk("unsquashfs gave less than it listed");
		hash.update(chunk.subarray(0, bytesRead));
		done += bytesRead;
	}
	return `sha256:${hash.digest("hex")}` as Digest;
}
