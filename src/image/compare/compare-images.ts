import type { Host } from "../../host/index.ts";
import type { StoredImage } from "../store/index.ts";
import { compareTrees, type FileDifference } from "./compare-trees.ts";
import { type TreeListing, UnreadableDisk } from "./entry.ts";
import { listErofs } from "./erofs-listing.ts";
import { fail } from "./failures.ts";
import { listSquashfs } from "./squashfs-listing.ts";

export interface CompareOptions {
	readonly host: Host;
	/** Makes an empty folder on a disk with room for the files of a squashfs; asked only when there is one to read. */
	readonly scratch: () => Promise<{ readonly directory: string; remove(): Promise<void> }>;
	readonly signal?: AbortSignal | undefined;
}

export interface FactDifference {
	/** "kernel", "command line", "root hash". */
	readonly what: string;
	readonly left: string;
	readonly right: string;
}

export interface ImageComparison {
	readonly verdict: "same" | "different";
	/** What image.json says differently. */
	readonly facts: readonly FactDifference[];
	readonly files: readonly FileDifference[];
}

/** In what two images differ: what they say of themselves, and file by file. Throws `image-disk-unreadable`. */
export async function compareImages(
	left: StoredImage,
	right: StoredImage,
	options: CompareOptions,
): Promise<ImageComparison> {
	if (left.digest === right.digest) return { verdict: "same", facts: [], files: [] };
	const isSameDisk = left.manifest.parts.disk.digest === right.manifest.parts.disk.digest;
	const files = isSameDisk ? [] : compareTrees(await listingOf(left, options), await listingOf(right, options));
	return { verdict: "different", facts: factsOf(left, right), files };
}

async function listingOf(image: StoredImage, options: CompareOptions): Promise<TreeListing> {
	const { manifest, files, digest } = image;
	try {
		if (manifest.rootfsFormat === "erofs") return await listErofs(files.disk, options);
		const scratch = await options.scratch();
		try {
			return await listSquashfs(files.disk, { ...options, scratchDirectory: scratch.directory });
		} finally {
			await scratch.remove();
		}
	} catch (error) {
		if (!(error instanceof UnreadableDisk)) throw error;
		throw fail("image-disk-unreadable", { digest, reason: error.message }, error);
	}
}

function factsOf({ manifest: left }: StoredImage, { manifest: right }: StoredImage): readonly FactDifference[] {
	const kernel = ({ reference }: typeof left) => `${reference.kernelVersion}, ${reference.kernelDigest}`;
	const guest = ({ reference }: typeof left) => `generation ${reference.guestGeneration}, ${reference.guestDigest}`;
	const rows: readonly (readonly [string, string, string])[] = [
		["platform", left.platform, right.platform],
		["format", left.rootfsFormat, right.rootfsFormat],
		["root hash", left.verity.rootHash, right.verity.rootHash],
		["salt", left.verity.salt, right.verity.salt],
		["uuid", left.verity.uuid, right.verity.uuid],
		["disk size", String(left.parts.disk.size), String(right.parts.disk.size)],
		["kernel", kernel(left), kernel(right)],
		["initramfs", left.parts.initramfs.digest, right.parts.initramfs.digest],
		["guest", guest(left), guest(right)],
		["command line", left.commandLine, right.commandLine],
		["configuration", JSON.stringify(left.config), JSON.stringify(right.config)],
		["sbom", left.parts.sbom.digest, right.parts.sbom.digest],
		["provenance", left.parts.provenance.digest, right.parts.provenance.digest],
	];
	return rows
		.filter(([, one, other]) => one !== other)
		.map(([what, one, other]) => ({ what, left: one, right: other }));
}
