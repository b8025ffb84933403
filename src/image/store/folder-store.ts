import { constants } from "node:fs";
import { access, lstat, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { canonicalJson, type Digest, digestOf, hexOfDigest, parseCanonicalJson } from "../../core/index.ts";
import { fail } from "../failures.ts";
import { type ImageManifest, imageManifestSchema, type Part, type PartName, type Platform } from "../schema.ts";
import { openScratch, type Scratch, sweepScratch, waitForLock } from "../scratch/index.ts";
import { Blobs, copyShared, measureFile, syncPath } from "./blobs.ts";
import { checkName, digestFromHex, machinePlatform, nameFile, parseNameFile, parseReference } from "./names.ts";
import { referencedBy, sizeOfParts } from "./parts.ts";
import type {
	Cancel,
	ImageStore,
	NamedImage,
	PartFault,
	PartFile,
	PruneOptions,
	Removal,
	StoredImage,
	VerifyOptions,
} from "./store.ts";

const LOCK_WAIT_MS = 30_000;
/** Of an image.json: far more than any has. */
const MAX_MANIFEST_BYTES = 1 << 20;

interface NameEntry {
	readonly name: string;
	readonly platform: Platform;
	readonly digest: Digest;
}

/** The store in a folder. Reading takes no lock: everything is there whole, or not there. */
export class FolderStore implements ImageStore {
	readonly directory: string;
	readonly #blobs: Blobs;
	#swept: Promise<unknown> | undefined;

	constructor(directory: string) {
		this.directory = directory;
		this.#blobs = new Blobs(join(directory, "blobs", "sha256"));
	}

	async resolve(reference: string, platform?: Platform): Promise<StoredImage | undefined> {
		const parsed = parseReference(reference);
		if (parsed === undefined) return undefined;
		if (parsed.kind === "name") {
			const found = await this.#byName(reference, parsed.name, parsed.platform ?? platform ?? null);
			if (found !== undefined) return this.#open(found);
			if (parsed.digestPrefix === null) return undefined;
		}
		const prefix = parsed.kind === "name" ? (parsed.digestPrefix ?? "") : parsed.hexPrefix;
		const fitting = (await this.#images()).filter((digest) => hexOfDigest(digest).startsWith(prefix));
		const [only, ...others] = fitting;
		if (others.length > 0) throw fail("image-ambiguous", { reference, candidates: fitting.join(", ") });
		return only === undefined ? undefined : this.#open(only);
	}

	async list(): Promise<readonly NamedImage[]> {
		const names = await this.#names();
		const digests = await this.#images();
		const rows = digests.map(async (digest): Promise<readonly NamedImage[]> => {
			const [manifest, marker] = await Promise.all([
				this.read(digest).catch(() => undefined),
				lstat(this.#marker(digest)).catch(() => undefined),
			]);
			// Removed meanwhile, or damaged: `verify` is who tells.
			if (manifest === undefined || marker === undefined) return [];
			const { platform } = manifest;
			const of = names.filter((one) => one.digest === digest && one.platform === platform).map(({ name }) => name);
			const row = { digest, platform, sizeBytes: sizeOfParts(manifest), addedMs: marker.mtimeMs };
			return of.length === 0 ? [{ name: null, ...row }] : of.map((name) => ({ name, ...row }));
		});
		return (await Promise.all(rows)).flat().sort(byName);
	}

	async read(digest: Digest): Promise<ImageManifest> {
		const bytes = await this.manifestBytes(digest);
		try {
			return imageManifestSchema.parse(parseCanonicalJson(Buffer.from(bytes).toString("utf8")));
		} catch (error) {
			throw fail("image-damaged", { digest, reason: "its image.json is not one that this Vouch knows" }, error);
		}
	}

	async manifestBytes(digest: Digest): Promise<Uint8Array> {
		const path = this.#blobs.pathOf(digest);
		const found = await lstat(path).catch(() => undefined);
		if (found === undefined || !(await exists(this.#marker(digest))))
			throw fail("image-unknown", { reference: digest });
		if (found.size > MAX_MANIFEST_BYTES) throw fail("image-damaged", { digest, reason: "its image.json is too large" });
		const bytes = await readFile(path);
		if (digestOf(bytes) !== digest)
			throw fail("image-damaged", { digest, reason: "its image.json has other contents" });
		return bytes;
	}

	async has(digest: Digest): Promise<boolean> {
		const manifest = await this.read(digest).catch(() => undefined);
		if (manifest === undefined) return false;
		const parts = await Promise.all(Object.values(manifest.parts).map((part) => this.hasPart(part)));
		return parts.every(Boolean);
	}

	async hasPart(part: Part): Promise<boolean> {
		return (await this.#blobs.sizeOf(part.digest)) === part.size;
	}

	pathOf(part: Part): string {
		return this.#blobs.pathOf(part.digest);
	}

	async scratch(): Promise<Scratch> {
		await this.#make();
		this.#swept ??= sweepScratch(this.directory);
		await this.#swept;
		return openScratch(this.directory);
	}

	async add(
		manifest: ImageManifest,
		parts: Partial<Record<PartName, PartFile>>,
		options: Cancel = {},
	): Promise<Digest> {
		const bytes = Buffer.from(canonicalJson(imageManifestSchema.parse(manifest)));
		const digest = digestOf(bytes);
		const scratch = await this.scratch();
		try {
			const ready = new Map<PartName, string>();
			for (const [name, file] of entriesOf(parts)) {
				ready.set(name, await this.#checked(scratch, name, manifest.parts[name], file, options.signal));
			}
			const document = join(scratch.directory, "image.json");
			await writeFile(document, bytes);
			options.signal?.throwIfAborted();
			await this.#locked(async () => {
				for (const [name, part] of entriesOf(manifest.parts)) {
					const path = ready.get(name);
					if (path !== undefined) await this.#blobs.take(path, part.digest);
					else if (!(await this.hasPart(part))) throw fail("image-part-wrong", { part: name, reason: "is not there" });
				}
				await this.#blobs.take(document, digest);
				await syncPath(this.#blobs.directory);
				await writeFile(this.#marker(digest), "", { mode: 0o644 });
				await syncPath(join(this.directory, "images"));
			}, options.signal);
			return digest;
		} finally {
			await scratch.remove();
		}
	}

	async name(name: string, digest: Digest): Promise<void> {
		checkName(name);
		await this.#make();
		await this.#locked(async () => {
			const { platform } = await this.read(digest);
			// Under the lock there is one writer, so one temporary name does.
			const temporary = join(this.directory, "tmp-name");
			await writeFile(temporary, `${digest}\n`, { mode: 0o644, flush: true });
			await rename(temporary, join(this.directory, "names", nameFile(name, platform)));
			await syncPath(join(this.directory, "names"));
		});
	}

	async unname(name: string, platform: Platform): Promise<boolean> {
		checkName(name);
		const path = join(this.directory, "names", nameFile(name, platform));
		if (!(await exists(path))) return false;
		await this.#locked(() => rm(path, { force: true }));
		return true;
	}

	async remove(digest: Digest): Promise<Removal> {
		if (!(await exists(this.#marker(digest)))) throw fail("image-unknown", { reference: digest });
		return this.#locked(async () => {
			for (const { name, platform, digest: named } of await this.#names()) {
				if (named === digest) await rm(join(this.directory, "names", nameFile(name, platform)), { force: true });
			}
			const manifest = await this.read(digest).catch(() => undefined);
			const own = manifest === undefined ? [digest] : [...referencedBy(digest, manifest)];
			const kept = await this.#referenced((await this.#images()).filter((other) => other !== digest));
			return this.#drop({ images: [digest], blobs: own.filter((blob) => !kept.has(blob)) });
		});
	}

	async prune(options: PruneOptions): Promise<Removal> {
		if (!(await exists(join(this.directory, "images")))) return { images: [], blobs: [], freedBytes: 0 };
		return this.#locked(async () => {
			await sweepScratch(this.directory);
			const youngestMs = Date.now() - options.olderThanMs;
			const named = new Set((await this.#names()).map(({ digest }) => digest));
			const all = await this.#images();
			const images = await filterAsync(all, async (digest) => {
				return !named.has(digest) && (await lstat(this.#marker(digest))).mtimeMs <= youngestMs;
			});
			const kept = await this.#referenced(all.filter((digest) => !images.includes(digest)));
			const blobs = await filterAsync(await this.#blobs.list(), async (digest) => {
				return !kept.has(digest) && (await lstat(this.#blobs.pathOf(digest))).ctimeMs <= youngestMs;
			});
			options.signal?.throwIfAborted();
			return options.mode === "report" ? this.#count({ images, blobs }) : this.#drop({ images, blobs });
		}, options.signal);
	}

	async verify(digest: Digest, options: VerifyOptions = {}): Promise<readonly PartFault[]> {
		const path = this.#blobs.pathOf(digest);
		if (!(await exists(this.#marker(digest)))) throw fail("image-unknown", { reference: digest });
		const read = await this.read(digest).catch((error: Error) => error);
		if (read instanceof Error) return [{ part: "image.json", path, reason: read.message }];
		const totalBytes = sizeOfParts(read);
		const faults: PartFault[] = [];
		let doneBytes = 0;
		for (const [name, part] of entriesOf(read.parts)) {
			const onBytes = (bytes: number) => {
				doneBytes += bytes;
				options.progress?.(doneBytes, totalBytes);
			};
			const reason = await differenceOf(this.pathOf(part), part, options.signal, onBytes);
			if (reason !== undefined) faults.push({ part: name, path: this.pathOf(part), reason });
		}
		return faults;
	}

	/** The file, checked and in a scratch folder of this store. */
	async #checked(
		scratch: Scratch,
		name: PartName,
		part: Part,
		{ path }: PartFile,
		signal: AbortSignal | undefined,
	): Promise<string> {
		const ours = path.startsWith(join(this.directory, "tmp-")) && path.split(sep).every((word) => word !== "..");
		const place = ours ? path : join(scratch.directory, name);
		if (!ours) await copyShared(path, place);
		const reason = await differenceOf(place, part, signal);
		if (reason !== undefined) throw fail("image-part-wrong", { part: name, reason });
		return place;
	}

	async #byName(reference: string, name: string, platform: Platform | null): Promise<Digest | undefined> {
		const fitting = (await this.#names()).filter((one) => one.name === name);
		if (platform !== null) return fitting.find((one) => one.platform === platform)?.digest;
		const own = fitting.find((one) => one.platform === machinePlatform());
		if (own !== undefined || fitting.length < 2) return (own ?? fitting[0])?.digest;
		const candidates = fitting.map((one) => `${name}@${one.platform}`).join(", ");
		throw fail("image-ambiguous", { reference, candidates });
	}

	async #open(digest: Digest): Promise<StoredImage> {
		const manifest = await this.read(digest);
		const files = Object.fromEntries(entriesOf(manifest.parts).map(([name, part]) => [name, this.pathOf(part)]));
		return { digest, manifest, files: files as Record<PartName, string> };
	}

	async #images(): Promise<readonly Digest[]> {
		const names = await readdir(join(this.directory, "images")).catch(() => []);
		return names
			.filter((name) => /^[0-9a-f]{64}$/.test(name))
			.sort()
			.map(digestFromHex);
	}

	async #names(): Promise<readonly NameEntry[]> {
		const folder = join(this.directory, "names");
		const files = await readdir(folder).catch(() => []);
		const entries = files.sort().map(async (file): Promise<readonly NameEntry[]> => {
			const known = parseNameFile(file);
			const text = await readFile(join(folder, file), "utf8").catch(() => "");
			const digest = /^sha256:([0-9a-f]{64})\n$/.exec(text)?.[1];
			return known === undefined || digest === undefined ? [] : [{ ...known, digest: digestFromHex(digest) }];
		});
		return (await Promise.all(entries)).flat();
	}

	#marker(digest: Digest): string {
		return join(this.directory, "images", hexOfDigest(digest));
	}

	async #referenced(images: readonly Digest[]): Promise<ReadonlySet<Digest>> {
		const kept = new Set<Digest>();
		for (const digest of images) {
			// A manifest that can't be read keeps itself alone: its parts can't be told.
			const manifest = await this.read(digest).catch(() => undefined);
			for (const blob of manifest === undefined ? [digest] : referencedBy(digest, manifest)) kept.add(blob);
		}
		return kept;
	}

	async #count(what: Pick<Removal, "images" | "blobs">): Promise<Removal> {
		const sizes = await Promise.all(what.blobs.map((blob) => this.#blobs.sizeOf(blob)));
		return { ...what, freedBytes: sizes.reduce((sum: number, size) => sum + (size ?? 0), 0) };
	}

	/** Markers first: a crash between leaves parts of no image, which the next prune finds. */
	async #drop(what: Pick<Removal, "images" | "blobs">): Promise<Removal> {
		const removal = await this.#count(what);
		for (const digest of what.images) await rm(this.#marker(digest), { force: true });
		for (const blob of what.blobs) await this.#blobs.remove(blob);
		return removal;
	}

	async #locked<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
		const lock = await waitForLock(join(this.directory, "store.lock"), LOCK_WAIT_MS, signal);
		if (lock === undefined) {
			throw fail("image-store-busy", { directory: this.directory, seconds: String(LOCK_WAIT_MS / 1000) });
		}
		try {
			return await work();
		} finally {
			lock.release();
		}
	}

	/** Readable by all: a guest's emulator may run as another user. */
	async #make(): Promise<void> {
		try {
			for (const folder of ["blobs/sha256", "images", "names"]) {
				await mkdir(join(this.directory, folder), { recursive: true, mode: 0o755 });
			}
			await access(this.directory, constants.W_OK);
		} catch (error) {
			const reason = error instanceof Error ? error.message : String(error);
			throw fail("image-store-unusable", { directory: this.directory, reason }, error);
		}
	}
}

async function differenceOf(
	path: string,
	part: Part,
	signal: AbortSignal | undefined,
	onBytes?: (bytes: number) => void,
): Promise<string | undefined> {
	const found = await lstat(path).catch(() => undefined);
	if (found === undefined) return "is missing";
	if (!found.isFile()) return "is no file";
	if (found.size !== part.size) return `has ${found.size} bytes instead of ${part.size}`;
	const { digest } = await measureFile(path, { signal, ...(onBytes && { onBytes }) });
	return digest === part.digest ? undefined : `has the digest ${digest} instead of ${part.digest}`;
}

function entriesOf<T>(record: Partial<Record<PartName, T>>): readonly (readonly [PartName, T])[] {
	return Object.entries(record) as [PartName, T][];
}

function byName(left: NamedImage, right: NamedImage): number {
	const key = ({ name, platform, digest }: NamedImage) => `${name ?? "\uffff"}@${platform} ${digest}`;
	return key(left) < key(right) ? -1 : 1;
}

function exists(path: string): Promise<boolean> {
	return access(path).then(
		() => true,
		() => false,
	);
}

async function filterAsync<T>(items: readonly T[], keep: (item: T) => Promise<boolean>): Promise<readonly T[]> {
	const flags = await Promise.all(items.map(keep));
	return items.filter((_, index) => flags[index]);
}
