import { type FileHandle, open } from "node:fs/promises";
import { bytesFromHex, equalBytes } from "../../../core/index.ts";
import { type Verity, veritySchema } from "../../schema.ts";
import { type CrewOptions, newControl, takeAllGroups } from "./crew.ts";
import { fail } from "./failures.ts";
import type { Work } from "./groups.ts";
import { DIGEST_BYTES, type Layout, layoutOf, VERITY_BLOCK_BYTES } from "./layout.ts";
import { digestsOfBlocks } from "./salted-blocks.ts";
import { encodeSuperblock } from "./superblock.ts";
import { faultyBlocks, type StoredLevel } from "./tree-walk.ts";

/** A place where the disk is not what its root hash says. */
export interface VerityFault {
	/** `size`: the file is longer or shorter than data and tree together; nothing else was looked at then. */
	readonly kind: "size" | "superblock" | "tree" | "data";
	/** Counted in blocks of 4096 bytes from the start of the file. */
	readonly block: number;
	/** Bytes from the start of the file. */
	readonly offset: number;
}

/**
 * Every block of a disk that differs from what its root hash vouches for, in the order of the file; none when all is well.
 * Below a block of the tree that is itself bad and cannot be rebuilt from the data, what it says is all there is to compare with.
 * Throws VouchError `verity-parameters` or `verity-read`, or the signal's reason.
 */
export async function verifyVerity(
	path: string,
	verity: Verity,
	options: CrewOptions = {},
): Promise<readonly VerityFault[]> {
	const { salt, rootHash, layout } = checkedParameters(path, verity);
	await using file = await open(path, "r");
	const { size } = await file.stat();
	if (size !== layout.blocks * VERITY_BLOCK_BYTES) return [faultAt("size", Math.floor(size / VERITY_BLOCK_BYTES))];
	try {
		const digests = new SharedArrayBuffer(layout.groups * DIGEST_BYTES);
		const work: Work = { kind: "verify", fd: file.fd, layout, salt, control: newControl(), digests };
		const mismatches = await takeAllGroups(work, options);
		const upper = await readUpperLevels(file, work);
		const faults = [...faultyBlocks({ layout, salt, rootHash, digests: Buffer.from(digests), upper, mismatches })];
		const expected = encodeSuperblock({ dataBlocks: layout.dataBlocks, salt, uuid: verity.uuid });
		const stored = await readBlocks(file, layout.superblock, 1);
		if (!equalBytes(stored, expected)) faults.push({ kind: "superblock", block: layout.superblock });
		return faults.toSorted((left, right) => left.block - right.block).map(({ kind, block }) => faultAt(kind, block));
	} catch (error) {
		if (options.signal?.aborted) throw error;
		throw fail("verity-read", { path, reason: error instanceof Error ? error.message : String(error) }, error);
	}
}

function faultAt(kind: VerityFault["kind"], block: number): VerityFault {
	return { kind, block, offset: block * VERITY_BLOCK_BYTES };
}

function checkedParameters(path: string, verity: Verity): { salt: Uint8Array; rootHash: Uint8Array; layout: Layout } {
	const parsed = veritySchema.safeParse(verity);
	if (!parsed.success) {
		const [issue] = parsed.error.issues;
		throw fail("verity-parameters", { path, reason: `${issue?.path.join(".")} is wrong: ${issue?.message}` });
	}
	if (verity.hashOffset !== verity.dataBlocks * VERITY_BLOCK_BYTES) {
		throw fail("verity-parameters", { path, reason: "its tree does not start where its data ends" });
	}
	const salt = bytesFromHex(verity.salt);
	const rootHash = bytesFromHex(verity.rootHash);
	if (salt === undefined || rootHash === undefined) throw new TypeError("the schema lets only hexadecimal pass");
	return { salt, rootHash, layout: layoutOf(verity.dataBlocks, verity.hashOffset) };
}

/** Level 1 and those above as stored, with the digests of their blocks: together a 128th of level 0. */
async function readUpperLevels(file: FileHandle, { layout, salt }: Work): Promise<readonly StoredLevel[]> {
	const upper: StoredLevel[] = [];
	for (const { start, blocks } of layout.levels.slice(1)) {
		const bytes = await readBlocks(file, start, blocks);
		upper.push({ bytes, digests: digestsOfBlocks(bytes, salt) });
	}
	return upper;
}

async function readBlocks(file: FileHandle, first: number, count: number): Promise<Uint8Array> {
	const bytes = new Uint8Array(count * VERITY_BLOCK_BYTES);
	for (let done = 0; done < bytes.length; ) {
		const position = first * VERITY_BLOCK_BYTES + done;
		const { bytesRead } = await file.read(bytes, done, bytes.length - done, position);
		if (bytesRead === 0) throw new Error(`it ends at byte ${position}, and has become shorter meanwhile.`);
		done += bytesRead;
	}
	return bytes;
}
