import type { Digest } from "../../core/index.ts";
import type { ImageManifest } from "../schema.ts";

/** image.json itself and every part. */
export function referencedBy(digest: Digest, manifest: ImageManifest): ReadonlySet<Digest> {
	return new Set([digest, ...Object.values(manifest.parts).map((part) => part.digest)]);
}

export function sizeOfParts(manifest: ImageManifest): number {
	return Object.values(manifest.parts).reduce((sum, part) => sum + part.size, 0);
}
