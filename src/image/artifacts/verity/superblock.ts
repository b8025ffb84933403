import { utf8 } from "../../../core/index.ts";
import { VERITY_BLOCK_BYTES } from "./layout.ts";

export interface Superblock {
	readonly dataBlocks: number;
	readonly salt: Uint8Array;
	/** As people write it: 8-4-4-4-12 hexadecimal digits. */
	readonly uuid: string;
}

const VERSION = 1;
/** 0 is Chrome OS's order of salt and data; 1 is everybody's: the salt goes first. */
const HASH_TYPE = 1;

/** The block at `hashOffset`: `struct verity_sb` of cryptsetup, lib/verity/verity.c, little endian, padded with zeros. */
export function encodeSuperblock({ dataBlocks, salt, uuid }: Superblock): Uint8Array {
	const block = new Uint8Array(VERITY_BLOCK_BYTES);
	const view = new DataView(block.buffer);
	block.set(utf8("verity\0\0"), 0);
	view.setUint32(8, VERSION, true);
	view.setUint32(12, HASH_TYPE, true);
	block.set(Buffer.from(uuid.replaceAll("-", ""), "hex"), 16);
	block.set(utf8("sha256"), 32);
	view.setUint32(64, VERITY_BLOCK_BYTES, true);
	view.setUint32(68, VERITY_BLOCK_BYTES, true);
	view.setBigUint64(72, BigInt(dataBlocks), true);
	view.setUint16(80, salt.length, true);
	block.set(salt, 88);
	return block;
}
