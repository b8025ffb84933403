import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, formatBytes } from "../../core/index.ts";
import { fail as failExport } from "../export/failures.ts";
import {
	type Artifact,
	assemblePart,
	type Descriptor,
	ForeignImage,
	INDEX_TYPE,
	type IndexEntry,
	isIndex,
	MANIFEST_TYPE,
	PART_NAMES,
	type Piece,
	piecesOf,
	readArtifact,
	readImageDocument,
	readIndex,
} from "../export/index.ts";
import type { ImageManifest, PartName, Platform } from "../schema.ts";
import { type ImageStore, machinePlatform, type PartFile } from "../store/index.ts";
import { downloadBlob } from "./download.ts";
import { fail } from "./failures.ts";
import { Lanes } from "./lanes.ts";
import { LANES, MAX_MANIFEST_BYTES } from "./limits.ts";
import { openPullFolder } from "./pull-folder.ts";
import type { TransferSettings } from "./push.ts";
import { readBounded, WrongAnswer } from "./reading.ts";
import { manifestName, parseRegistryReference, referenceText } from "./reference.ts";
import { Session, WrongContent } from "./session.ts";

export interface PullSettings extends TransferSettings {
	/** `$XDG_CACHE_HOME/vouch`: what an interrupted pull got is kept there for the next one. */
	readonly cacheDirectory: string;
	/** Which image of an index; default this machine's, or the only one. */
	readonly platform?: Platform;
	/** The image that it must be: nothing else is fetched. */
	readonly expect?: Digest;
}

export interface PulledImage {
	readonly digest: Digest;
	readonly manifest: ImageManifest;
	/** Of the manifest in the registry. */
	readonly artifactDigest: Digest;
	readonly pinned: string;
	/** Bytes of blobs that had to come, now or in an earlier attempt; 0 when the store had all of it. */
	readonly fetchedBytes: number;
}

/**
 * Gets an image into the store: whole and checked, or not at all.
 * Throws VouchError `registry-…` or `image-foreign`.
 */
export async function pullImage(from: string, settings: PullSettings): Promise<PulledImage> {
	const reference = parseRegistryReference(from);
	const text = referenceText(reference);
	const lanes = new Lanes(LANES);
	const signal = settings.signal === undefined ? lanes.signal : AbortSignal.any([settings.signal, lanes.signal]);
	const session = new Session(reference, { doing: `Pulling ${text}`, actions: "pull" }, { ...settings, signal });
	try {
		const { bytes, digest: artifactDigest } = await chooseManifest(session, manifestName(reference), text, settings);
		const artifact = readArtifact(bytes);
		const { digest } = artifact.config;
		if (settings.expect !== undefined && digest !== settings.expect) {
			throw fail("registry-image-unexpected", { reference: text, found: digest, expected: settings.expect });
		}
		const manifest = readImageDocument(await fetchBytes(session, artifact.config, "image.json"));
		const fetch = new Fetch({ session, lanes, settings, artifact, artifactDigest, manifest });
		const fetchedBytes = (await settings.store.has(digest)) ? 0 : await fetch.all();
		const pinned = referenceText({ ...reference, tag: null, digest: artifactDigest });
		return { digest, manifest, artifactDigest, pinned, fetchedBytes };
	} catch (error) {
		await lanes.cancel(error).catch(() => {});
		if (!(error instanceof ForeignImage)) throw error;
		throw failExport("image-foreign", { source: text, reason: error.message }, error);
	} finally {
		session.close();
	}
}

interface Fetched {
	readonly bytes: Uint8Array;
	readonly digest: Digest;
}

/** The manifest that a name means; of an index the one of the wanted platform. */
async function chooseManifest(session: Session, name: string, text: string, settings: PullSettings): Promise<Fetched> {
	const first = await fetchManifest(session, name);
	if (!isIndex(first.bytes)) return first;
	const entries = readIndex(first.bytes).filter(({ kind }) => kind === "manifest");
	const entry = chooseEntry(entries, settings.platform ?? machinePlatform());
	if (entry === undefined) {
		const known = entries.map(({ platform }) => platform ?? "one that is not named").join(", ") || "none";
		throw fail("registry-platform-missing", { reference: text, platform: settings.platform ?? "this machine", known });
	}
	const chosen = await fetchManifest(session, entry.digest);
	if (isIndex(chosen.bytes)) throw new ForeignImage("its index names another index");
	return chosen;
}

function chooseEntry(entries: readonly IndexEntry[], wanted: Platform | undefined): IndexEntry | undefined {
	const [only, ...others] = entries;
	const fitting = entries.find(({ platform }) => platform === wanted);
	return fitting ?? (others.length === 0 && only?.platform === null ? only : undefined);
}

async function fetchManifest(session: Session, name: string): Promise<Fetched> {
	return session.persist(async () => {
		const headers = { accept: `${MANIFEST_TYPE}, ${INDEX_TYPE}` };
		const answer = await session.ask({ method: "GET", to: `manifests/${name}`, headers, takes: [200] });
		const bytes = await readBounded(answer, MAX_MANIFEST_BYTES);
		const digest = digestOf(bytes);
		const names = [name, String(answer.headers["docker-content-digest"] ?? "")];
		const said = names.find((one) => one.startsWith("sha256:") && one !== digest);
		if (said !== undefined) throw new WrongContent("its manifest", `it is named ${said} and is ${digest}`);
		return { bytes, digest };
	});
}

async function fetchBytes(session: Session, { digest, size }: Descriptor, what: string): Promise<Uint8Array> {
	return session.persist(async () => {
		const answer = await session.ask({ method: "GET", to: `blobs/${digest}`, takes: [200] });
		const bytes = await readBounded(answer, size);
		if (bytes.length !== size) throw new WrongAnswer(`${what} has ${bytes.length} bytes, not ${size}`);
		if (digestOf(bytes) !== digest) throw new WrongContent(what, "it has another digest");
		return bytes;
	});
}

interface FetchSettings {
	readonly session: Session;
	readonly lanes: Lanes;
	readonly settings: PullSettings;
	readonly artifact: Artifact;
	readonly artifactDigest: Digest;
	readonly manifest: ImageManifest;
}

class Fetch {
	readonly #all: FetchSettings;
	readonly #store: ImageStore;

	constructor(all: FetchSettings) {
		this.#all = all;
		this.#store = all.settings.store;
	}

	/** The parts that the store lacks: pieces into the pull's folder, put together in the store's own. */
	async all(): Promise<number> {
		const { settings, artifact, artifactDigest, manifest } = this.#all;
		const wanted: (readonly [PartName, readonly Piece[]])[] = [];
		for (const name of PART_NAMES) {
			const pieces = piecesOf(artifact, name, manifest.parts[name]);
			if (!(await this.#store.hasPart(manifest.parts[name]))) wanted.push([name, pieces]);
		}
		const pieces = new Map(wanted.flatMap(([, own]) => own).map((piece) => [piece.digest, piece]));
		const totalBytes = [...pieces.values()].reduce((sum, { size }) => sum + size, 0);
		const folder = await openPullFolder(settings.cacheDirectory, artifactDigest, settings.signal);
		try {
			await this.#refuseWithoutSpace(folder.directory, totalBytes);
			await this.#download(folder.directory, [...pieces.values()], totalBytes);
			await this.#assemble(folder.directory, wanted);
		} catch (error) {
			// Blobs that are what they should be, and yet make no image: they never will.
			if (error instanceof ForeignImage) await folder.remove();
			else await folder.keep();
			throw error;
		}
		await folder.remove();
		return totalBytes;
	}

	async #download(directory: string, pieces: readonly Piece[], totalBytes: number): Promise<void> {
		const { session, lanes, settings } = this.#all;
		let doneBytes = 0;
		const onBytes = (bytes: number): void => {
			doneBytes += bytes;
			settings.progress?.(doneBytes, totalBytes);
		};
		for (const { digest, size, part } of pieces) {
			const path = join(directory, digest.slice("sha256:".length));
			await lanes.begin(() => downloadBlob(session, { digest, size, what: `its ${part}` }, path, onBytes));
		}
		await lanes.finish();
	}

	async #assemble(directory: string, wanted: readonly (readonly [PartName, readonly Piece[]])[]): Promise<void> {
		const { manifest, settings } = this.#all;
		const { signal } = settings;
		const scratch = await this.#store.scratch();
		try {
			const parts: Partial<Record<PartName, PartFile>> = {};
			for (const [name, pieces] of wanted) {
				const path = join(scratch.directory, name);
				const files = pieces.map(({ digest, compression }) => ({
					path: join(directory, digest.slice("sha256:".length)),
					compression,
				}));
				await assemblePart(name, manifest.parts[name], files, path, { signal });
				parts[name] = { path };
			}
			await this.#store.add(manifest, parts, signal && { signal });
		} finally {
			await scratch.remove();
		}
	}

	async #refuseWithoutSpace(directory: string, totalBytes: number): Promise<void> {
		const { bavail, bsize } = await statfs(directory);
		// Pieces, and what is put together from them.
		const needed = 2 * totalBytes;
		if (needed > bavail * bsize) {
			const have = formatBytes(bavail * bsize);
			throw fail("registry-no-space", { needed: formatBytes(needed), have, directory });
		}
	}
}
