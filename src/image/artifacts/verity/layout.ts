import type { Verity } from "../../schema.ts";

/** Bytes of a data block and of a hash block: the page size, and the only one we write. */
export const VERITY_BLOCK_BYTES = 4096;
export const DIGEST_BYTES = 32;
/** Digests in one block of the tree: SHA-256 fills 4096 bytes without a gap. */
export const FAN_OUT = VERITY_BLOCK_BYTES / DIGEST_BYTES;

/** One level of the tree. Level 0 holds the digests of data blocks; each level above, those of the blocks of the one below. */
export interface Level {
	/** Block of the file where it starts. */
	readonly start: number;
	readonly blocks: number;
}

/** Where everything lies on the disk, in blocks of the file: data, superblock, then the levels from the top down. */
export interface Layout {
	readonly dataBlocks: number;
	readonly superblock: number;
	/** Lowest first. None when there is a single data block: its digest is the root hash. */
	readonly levels: readonly Level[];
	/** Blocks of the whole disk. */
	readonly blocks: number;
	/** Runs of `FAN_OUT` data blocks: the work that gives one block of level 0. */
	readonly groups: number;
}

/**
 * The layout that cryptsetup and the kernel agree on: `hash_levels` in lib/verity/verity_hash.c of cryptsetup and
 * `verity_ctr` in drivers/md/dm-verity-target.c. The superblock takes one hash block of its own.
 */
export function layoutOf(dataBlocks: number, hashOffset: number): Layout {
	const sizes: number[] = [];
	for (let blocks = dataBlocks; blocks > 1; ) {
		blocks = Math.ceil(blocks / FAN_OUT);
		sizes.push(blocks);
	}
	const superblock = hashOffset / VERITY_BLOCK_BYTES;
	let start = superblock + 1;
	const topDown = sizes.toReversed().map((blocks): Level => {
		const level = { start, blocks };
		start += blocks;
		return level;
	});
	return {
		dataBlocks,
		superblock,
		levels: topDown.toReversed(),
		blocks: start,
		groups: Math.ceil(dataBlocks / FAN_OUT),
	};
}

/** Size of the whole disk: data, superblock and tree. */
export function verityDiskBytes({ dataBlocks, hashOffset }: Pick<Verity, "dataBlocks" | "hashOffset">): number {
	return layoutOf(dataBlocks, hashOffset).blocks * VERITY_BLOCK_BYTES;
}
