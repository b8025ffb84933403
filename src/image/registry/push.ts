import type { Digest } from "../../core/index.ts";
import { fail as failExport } from "../export/failures.ts";
import {
	type Artifact,
	type Descriptor,
	descriptorOf,
	ForeignImage,
	INDEX_TYPE,
	MANIFEST_TYPE,
	PART_NAMES,
	type Piece,
	readPieces,
	writeArtifact,
	writeIndex,
} from "../export/index.ts";
import type { ImageStore, StoredImage } from "../store/index.ts";
import { fail } from "./failures.ts";
import { Lanes } from "./lanes.ts";
import { LANES } from "./limits.ts";
import { WrongAnswer } from "./reading.ts";
import { manifestName, parseRegistryReference, type RegistryReference, referenceText } from "./reference.ts";
import { Session, type SessionSettings } from "./session.ts";
import { uploadBlob } from "./upload.ts";

export interface TransferSettings extends SessionSettings {
	readonly store: ImageStore;
	/** Bytes of all parts that are through, sent or not needed; a lost connection can take some back. */
	readonly progress?: (doneBytes: number, totalBytes: number) => void;
}

export interface PushedImage {
	/** What the reference names in the registry now: the manifest, or the index of several platforms. */
	readonly artifactDigest: Digest;
	/** `host/name@sha256:…`, which never means anything else. */
	readonly pinned: string;
	readonly sentBytes: number;
	/** Were there before. */
	readonly skippedBytes: number;
}

/**
 * Puts images into a registry under one reference; several must be of different platforms and get an index.
 * What a registry has already is not sent. Throws VouchError `registry-…`.
 */
export async function pushImages(
	images: readonly [StoredImage, ...StoredImage[]],
	to: string,
	settings: TransferSettings,
): Promise<PushedImage> {
	const reference = parseRegistryReference(to);
	if (reference.digest !== null) {
		throw fail("registry-reference-invalid", { reference: to, reason: "a digest can't be pushed to, only a tag" });
	}
	const lanes = new Lanes(LANES);
	const signal = settings.signal === undefined ? lanes.signal : AbortSignal.any([settings.signal, lanes.signal]);
	const doing = `Pushing ${referenceText(reference)}`;
	const session = new Session(reference, { doing, actions: "pull,push" }, { ...settings, signal });
	const push = new Push(session, lanes, settings, images);
	try {
		const artifacts: Descriptor[] = [];
		for (const image of images) artifacts.push(await push.image(image));
		return await push.publish(reference, artifacts);
	} catch (error) {
		// Nothing of it may go on once this has failed.
		await lanes.cancel(error).catch(() => {});
		if (!(error instanceof ForeignImage)) throw error;
		throw failExport("image-foreign", { source: "the image in the store", reason: error.message }, error);
	} finally {
		session.close();
	}
}

class Push {
	readonly #session: Session;
	readonly #lanes: Lanes;
	readonly #settings: TransferSettings;
	readonly #images: readonly StoredImage[];
	readonly #totalBytes: number;
	readonly #manifests = new Map<Digest, Uint8Array>();
	#doneBytes = 0;
	#sentBytes = 0;
	#skippedBytes = 0;

	constructor(session: Session, lanes: Lanes, settings: TransferSettings, images: readonly StoredImage[]) {
		this.#session = session;
		this.#lanes = lanes;
		this.#settings = settings;
		this.#images = images;
		const parts = images.flatMap(({ manifest }) => Object.values(manifest.parts));
		this.#totalBytes = parts.reduce((sum, { size }) => sum + size, 0);
	}

	/** Everything of an image but its manifest, which must come last: it names the rest. */
	async image({ digest, manifest, files }: StoredImage): Promise<Descriptor> {
		const document = await this.#settings.store.manifestBytes(digest);
		await this.#send({ digest, bytes: document }, 0);
		const pieces: Piece[] = [];
		for (const part of PART_NAMES) {
			for await (const { piece, bytes, plainBytes } of readPieces(part, manifest.parts[part], files[part])) {
				pieces.push(piece);
				await this.#lanes.begin(() => this.#send({ digest: piece.digest, bytes }, plainBytes));
			}
		}
		await this.#lanes.finish();
		const artifact: Artifact = { config: { digest, size: document.length }, pieces };
		const bytes = writeArtifact(artifact);
		const descriptor = descriptorOf(bytes);
		this.#manifests.set(descriptor.digest, bytes);
		return descriptor;
	}

	async publish(reference: RegistryReference, artifacts: readonly Descriptor[]): Promise<PushedImage> {
		const tag = manifestName(reference);
		const [only, ...others] = artifacts;
		let published = only;
		if (others.length === 0 && only !== undefined) {
			await this.#putManifest(tag, MANIFEST_TYPE, only.digest, this.#manifests.get(only.digest));
		} else {
			for (const { digest } of artifacts) {
				await this.#putManifest(digest, MANIFEST_TYPE, digest, this.#manifests.get(digest));
			}
			const index = writeIndex(
				artifacts.map((artifact, at) => ({
					...artifact,
					platform: this.#images[at]?.manifest.platform ?? null,
					name: null,
				})),
			);
			published = descriptorOf(index);
			await this.#putManifest(tag, INDEX_TYPE, published.digest, index);
		}
		if (published === undefined) throw new TypeError("there was nothing to push");
		return {
			artifactDigest: published.digest,
			pinned: referenceText({ ...reference, tag: null, digest: published.digest }),
			sentBytes: this.#sentBytes,
			skippedBytes: this.#skippedBytes,
		};
	}

	async #putManifest(name: string, type: string, digest: Digest, body: Uint8Array | undefined): Promise<void> {
		if (body === undefined) throw new TypeError("a manifest is published before it was written");
		await this.#session.persist(async () => {
			const headers = { "content-type": type };
			const answer = await this.#session.ask({ method: "PUT", to: `manifests/${name}`, headers, body, takes: [201] });
			answer.body.resume();
			const said = answer.headers["docker-content-digest"];
			if (said !== undefined && said !== digest) throw new WrongAnswer(`it took the manifest as ${String(said)}`);
		});
	}

	/** Progress is told in bytes of the part, which a compressed piece has fewer of. */
	async #send(blob: { readonly digest: Digest; readonly bytes: Uint8Array }, plainBytes: number): Promise<void> {
		const share = plainBytes / Math.max(1, blob.bytes.length);
		const outcome = await uploadBlob(this.#session, blob, (bytes) => this.#advance(bytes * share));
		if (outcome === "sent") this.#sentBytes += blob.bytes.length;
		else this.#skippedBytes += blob.bytes.length;
	}

	#advance(bytes: number): void {
		this.#doneBytes += bytes;
		this.#settings.progress?.(Math.round(this.#doneBytes), this.#totalBytes);
	}
}
