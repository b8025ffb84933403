/**
 * store: images of one user, in a folder, named by content.
 */
import { FolderStore } from "./folder-store.ts";
import type { ImageStore } from "./store.ts";

export { type Measured, measureFile } from "./blobs.ts";
export { isName, machinePlatform } from "./names.ts";
export type {
	ImageStore,
	NamedImage,
	PartFault,
	PartFile,
	PruneOptions,
	Removal,
	StoredImage,
	VerifyOptions,
} from "./store.ts";

/** The store in that folder (`$XDG_DATA_HOME/vouch/images`), which is made when something is first added. */
export function openImageStore(directory: string): ImageStore {
	return new FolderStore(directory);
}
