import type { Digest } from "../../core/index.ts";
import type { ClaimStatus } from "../../evidence/index.ts";
import { type VerityFault, verifyVerity } from "../artifacts/verity/index.ts";
import { contradictionsOf, PART_NAMES, partFileName } from "../export/index.ts";
import type { ImageManifest, PartName } from "../schema.ts";
import { type ImageStore, measureFile } from "../store/index.ts";
import { readProvenance, readSbom } from "./documents.ts";

export interface ImageClaim {
	readonly claim: string;
	readonly status: ClaimStatus;
	/** Begins in lower case and ends without a full stop. */
	readonly detail: string;
}

export interface ImageVerdict {
	readonly digest: Digest;
	readonly verdict: "verified" | "rejected";
	readonly claims: readonly ImageClaim[];
}

export interface VerifySettings {
	readonly signal?: AbortSignal;
	readonly progress?: (doneBytes: number, totalBytes: number) => void;
}

const UNREADABLE = "can't be read";

/** Throws VouchError `image-unknown` when there is no such image at all. */
export async function verifyImage(
	store: ImageStore,
	digest: Digest,
	settings: VerifySettings = {},
): Promise<ImageVerdict> {
	const claims: ImageClaim[] = [];
	const manifest = await readManifest(store, digest, claims);
	if (manifest !== undefined) {
		const agreement = "command line, hash tree and reference values name the same parts";
		claims.push(oneOf("agreement", contradictionsOf(manifest), agreement));
		const sound = await checkParts(store, manifest, claims, settings);
		// Also of a disk that is wrong already: it says where.
		if (claims.every(({ claim, detail }) => claim !== partFileName("disk") || detail !== UNREADABLE)) {
			claims.push(await hashTree(store, manifest, settings));
		}
		if (sound.has("sbom")) claims.push(await readSbom(store.pathOf(manifest.parts.sbom)));
		if (sound.has("provenance")) {
			claims.push(...(await readProvenance(store.pathOf(manifest.parts.provenance), manifest)));
		}
	}
	const verdict = claims.every(({ status }) => status !== "does-not-hold") ? "verified" : "rejected";
	return { digest, verdict, claims };
}

async function readManifest(
	store: ImageStore,
	digest: Digest,
	claims: ImageClaim[],
): Promise<ImageManifest | undefined> {
	try {
		const manifest = await store.read(digest);
		claims.push({ claim: "image.json", status: "holds", detail: `its canonical form has the digest ${digest}` });
		return manifest;
	} catch (error) {
		if ((error as { code?: string }).code === "image-unknown") throw error;
		claims.push({ claim: "image.json", status: "does-not-hold", detail: (error as Error).message });
		return undefined;
	}
}

/** Each part's size and digest; says which of them may be read further. */
async function checkParts(
	store: ImageStore,
	manifest: ImageManifest,
	claims: ImageClaim[],
	{ signal, progress }: VerifySettings,
): Promise<ReadonlySet<PartName>> {
	const sound = new Set<PartName>();
	// The disk is read twice: for its digest, and for its hash tree.
	const totalBytes = PART_NAMES.reduce((sum, name) => sum + manifest.parts[name].size, manifest.parts.disk.size);
	let doneBytes = 0;
	const onBytes = (bytes: number): void => {
		doneBytes += bytes;
		progress?.(doneBytes, totalBytes);
	};
	for (const name of PART_NAMES) {
		const part = manifest.parts[name];
		const found = await measureFile(store.pathOf(part), { signal, onBytes }).catch((error: Error) => {
			if (signal?.aborted === true) throw error;
			return undefined;
		});
		const holds = found?.digest === part.digest && found.sizeBytes === part.size;
		if (holds) sound.add(name);
		claims.push({
			claim: partFileName(name),
			status: holds ? "holds" : "does-not-hold",
			detail:
				found === undefined
					? UNREADABLE
					: holds
						? `${part.size} bytes with the digest ${part.digest}`
						: `${found.sizeBytes} bytes with the digest ${found.digest}, and it should be ${part.size} with ${part.digest}`,
		});
	}
	return sound;
}

async function hashTree(
	store: ImageStore,
	manifest: ImageManifest,
	{ signal, progress }: VerifySettings,
): Promise<ImageClaim> {
	const { verity, parts } = manifest;
	const totalBytes = PART_NAMES.reduce((sum, name) => sum + manifest.parts[name].size, parts.disk.size);
	const faults = await verifyVerity(store.pathOf(parts.disk), verity, {
		...(signal && { signal }),
		progress: (doneBytes, allBytes) => progress?.(totalBytes - Math.max(0, allBytes - doneBytes), totalBytes),
	});
	const sentences = faults.slice(0, 5).map(({ kind, block }: VerityFault) => `${kind} block ${block} differs`);
	const more = faults.length > 5 ? [`${faults.length - 5} more`] : [];
	const detail = `every one of ${verity.dataBlocks} blocks leads to the root hash ${verity.rootHash}`;
	return oneOf("hash tree", [...sentences, ...more], detail);
}

function oneOf(claim: string, problems: readonly string[], detail: string): ImageClaim {
	return problems.length === 0
		? { claim, status: "holds", detail }
		: { claim, status: "does-not-hold", detail: problems.join("; ") };
}
