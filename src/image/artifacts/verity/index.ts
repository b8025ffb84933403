/**
 * verity: the dm-verity hash tree behind a packed root file system, byte-equal to what `veritysetup format` writes.
 *
 * Hides     the layout on disk, the salted block hashes and the threads that compute them on all cores.
 * Promises  the tree is a pure function of data, salt and UUID; an interrupted format leaves the file as it was;
 *           verifying names every block that differs, whether of data or of the tree.
 * Never     needs device-mapper, a loop device or root: all of it happens in user space.
 * Start at  `layout.ts`, which says where everything lies; then `format.ts`.
 */
export { formatVerity } from "./format.ts";
export { VERITY_BLOCK_BYTES, verityDiskBytes } from "./layout.ts";
export { type VerityFault, verifyVerity } from "./verify.ts";
