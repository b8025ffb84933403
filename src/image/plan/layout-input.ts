import { type Digest, reasonOf, VouchError } from "../../core/index.ts";
import { fail as refuse } from "../artifacts/rootfs/failures.ts";
import { DEFAULT_SOURCE_LIMITS } from "../artifacts/rootfs/index.ts";
import { folderFiles } from "../artifacts/rootfs/layout/files.ts";
import { findOciImage } from "../artifacts/rootfs/layout/oci.ts";
import { Refusal } from "../artifacts/rootfs/source.ts";
import { fail } from "../failures.ts";
import type { Platform } from "../schema.ts";

/** Digest of the manifest that a layout has for a platform. Its layers are checked against it when they are read. */
export function layoutManifest(path: string, tag: string | null, platform: Platform): Digest {
	const open = new Set<{ close(): void }>();
	try {
		const files = folderFiles(path, (store) => open.add(store));
		const { materials } = findOciImage(files, { tag, platform, maxLayers: DEFAULT_SOURCE_LIMITS.maxLayers });
		const manifest = materials.find(({ name }) => name === "manifest");
		if (manifest !== undefined) return manifest.digest;
		throw fail("image-source-unreadable", { source: path, reason: "it names no manifest" });
	} catch (error) {
		if (error instanceof VouchError) throw error;
		if (error instanceof Refusal) {
			throw refuse("rootfs-refused", { source: path, entry: error.entry, reason: error.message }, error);
		}
		throw fail("image-source-unreadable", { source: path, reason: reasonOf(error) }, error);
	} finally {
		for (const store of open) store.close();
	}
}
