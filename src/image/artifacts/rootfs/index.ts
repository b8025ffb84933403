/**
 * rootfs: a root file system from a folder, a tar or an OCI image, as a tree in memory, packed as erofs or squashfs.
 *
 * Hides     tar and its extensions, compression, layouts, layers and whiteouts, the on-disk formats of erofs and squashfs.
 * Promises  the same tree gives the same bytes on every machine; what is hostile is refused with the reason, and nothing is left behind.
 * Never     unpacks anything onto the disk, and never runs or follows anything of a source.
 * Start at  `tree.ts`, then `read-source.ts` and `pack.ts`; the rules are in docs/reference/rootfs.md.
 */
export { type ErofsOptions, writeErofs } from "./erofs/write.ts";
export { type PackedRootfs, type PackOptions, packRootfs } from "./pack.ts";
export { readSource } from "./read-source.ts";
export { recogniseSource } from "./recognise.ts";
export {
	DEFAULT_LIMITS as DEFAULT_SOURCE_LIMITS,
	type ImageConfig,
	type ReadOptions,
	type ReadRootfs,
	type RootfsSource,
	type SourceLimits,
	type SourceMaterial,
} from "./source.ts";
export {
	bytesContent,
	type Content,
	type ContentReader,
	type DeviceNode,
	type DirectoryNode,
	directoryNode,
	entriesOf,
	type FifoNode,
	type FileNode,
	type LeafNode,
	type NodeMeta,
	type RootfsNode,
	type RootfsTree,
	type SymlinkNode,
	type VisitedEntry,
	type Xattr,
} from "./tree.ts";
export { unpackTree } from "./unpack.ts";
