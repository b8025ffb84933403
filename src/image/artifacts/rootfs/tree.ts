/**
 * A root file system in memory: names, owners, modes and links; contents stay where they are and are read when they are packed.
 * A name is a "raw" string, one character for each byte (latin1): sorting it sorts bytes, and nothing is lost.
 */
export interface RootfsTree {
	readonly root: DirectoryNode;
}

export interface NodeMeta {
	/** Permission bits with setuid, setgid and sticky: 0 to 07777. */
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
	/** Seconds since 1970; only a packing that keeps times looks at it. */
	readonly mtimeS: number;
	readonly mtimeNs: number;
	readonly xattrs: readonly Xattr[];
}

export interface Xattr {
	/** Raw, with its prefix: `security.capability`. */
	readonly name: string;
	readonly value: Uint8Array;
}

/** The same node under two names is a hard link; a folder has one name. */
export type RootfsNode = DirectoryNode | LeafNode;
export type LeafNode = FileNode | SymlinkNode | DeviceNode | FifoNode;

export interface DirectoryNode {
	readonly kind: "directory";
	meta: NodeMeta;
	readonly children: Map<string, RootfsNode>;
}

export interface FileNode {
	readonly kind: "file";
	readonly meta: NodeMeta;
	readonly content: Content;
}

export interface SymlinkNode {
	readonly kind: "symlink";
	readonly meta: NodeMeta;
	/** Raw, 1 to 4095 bytes. Data: it may lead anywhere, nothing here follows it. */
	readonly target: string;
}

export interface DeviceNode {
	readonly kind: "character-device" | "block-device";
	readonly meta: NodeMeta;
	/** 0 to 4095. */
	readonly major: number;
	/** 0 to 1048575. */
	readonly minor: number;
}

export interface FifoNode {
	readonly kind: "fifo";
	readonly meta: NodeMeta;
}

/** The bytes of a file, wherever they lie. */
export interface Content {
	readonly sizeBytes: number;
	open(): ContentReader;
}

/** Reads from front to back. Synchronous: an image has tens of thousands of small files, mostly in the page cache. */
export interface ContentReader {
	/** Puts exactly the next `length` bytes at `offset`, or throws. */
	read(into: Buffer, offset: number, length: number): void;
	close(): void;
}

/** What Linux allows: PATH_MAX less its NUL, NAME_MAX. */
export const MAX_PATH_BYTES = 4095;
export const MAX_NAME_BYTES = 255;
/** (uid_t) -1 means "leave it" to chown(2), so it is nobody's. */
export const MAX_OWNER = 0xffff_fffe;

/** A folder that no source says anything of. */
export const IMPLIED_DIRECTORY: NodeMeta = { mode: 0o755, uid: 0, gid: 0, mtimeS: 0, mtimeNs: 0, xattrs: [] };

export function directoryNode(meta: NodeMeta = IMPLIED_DIRECTORY): DirectoryNode {
	return { kind: "directory", meta, children: new Map() };
}

/** Entries in byte order of their names. */
export function sortedChildren(directory: DirectoryNode): readonly (readonly [string, RootfsNode])[] {
	return [...directory.children].sort(([left], [right]) => (left < right ? -1 : 1));
}

export interface VisitedEntry {
	/** Raw, without a leading slash; empty for the root. */
	readonly path: string;
	readonly node: RootfsNode;
}

/** Every name of the tree, folders before what is in them, names in byte order. */
export function* entriesOf(tree: RootfsTree): Generator<VisitedEntry> {
	const waiting: VisitedEntry[] = [{ path: "", node: tree.root }];
	for (let entry = waiting.pop(); entry !== undefined; entry = waiting.pop()) {
		yield entry;
		const { node, path } = entry;
		if (node.kind !== "directory") continue;
		const children = sortedChildren(node);
		for (let index = children.length - 1; index >= 0; index -= 1) {
			const child = children[index];
			if (child !== undefined) waiting.push({ path: path === "" ? child[0] : `${path}/${child[0]}`, node: child[1] });
		}
	}
}

/** Contents that are in memory. */
export function bytesContent(bytes: Uint8Array): Content {
	return {
		sizeBytes: bytes.length,
		open: () => {
			let at = 0;
			return {
				read: (into, offset, length) => {
					if (at + length > bytes.length) throw new RangeError(`${length} bytes asked of ${bytes.length - at}`);
					into.set(bytes.subarray(at, at + length), offset);
					at += length;
				},
				close: () => {},
			};
		},
	};
}
