import type { RootfsFormat } from "../../schema.ts";
import { writeErofs } from "./erofs/write.ts";
import { writeSquashfs } from "./squashfs/write.ts";
import type { RootfsTree } from "./tree.ts";

export interface PackOptions {
	readonly format: RootfsFormat;
	/** The file to make; it must not be there. It is removed again when packing fails or is interrupted. */
	readonly path: string;
	/** Seconds since 1970: every time in the file system. */
	readonly epoch: number;
	readonly signal?: AbortSignal | undefined;
	/** Content bytes taken, and in all. */
	readonly progress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

export interface PackedRootfs {
	/** A multiple of 4096. */
	readonly sizeBytes: number;
	/** What the bytes depend on besides the tree, with its version: the library that compressed them; null when there is none. */
	readonly tool: string | null;
}

/**
 * Packs a tree. The same tree, format, epoch and `tool` give the same bytes on every machine. Throws VouchError
 * `rootfs-unpackable`, `rootfs-changed` or `rootfs-unreadable`, the system's own error (no room), or the signal's reason.
 */
export async function packRootfs(tree: RootfsTree, options: PackOptions): Promise<PackedRootfs> {
	const { format, ...rest } = options;
	switch (format) {
		case "erofs":
			return { ...(await writeErofs(tree, rest)), tool: null };
		case "squashfs":
			return {
				...(await writeSquashfs(tree, { ...rest, compression: "zstd" })),
				tool: `zstd ${process.versions.zstd}`,
			};
		case "squashfs-uncompressed":
			return { ...(await writeSquashfs(tree, { ...rest, compression: "none" })), tool: null };
	}
}
