import { open } from "node:fs/promises";
import { bytesFromHex } from "../../../core/index.ts";
import { type Verity, veritySchema } from "../../schema.ts";
import { type CrewOptions, newControl, takeAllGroups } from "./crew.ts";
import { fail } from "./failures.ts";
import { type Work, writeWhole } from "./groups.ts";
import { DIGEST_BYTES, layoutOf, VERITY_BLOCK_BYTES } from "./layout.ts";
import { digestsOfBlocks } from "./salted-blocks.ts";
import { encodeSuperblock } from "./superblock.ts";

export interface FormatOptions extends CrewOptions {
	/** Lower-case hexadecimal, 0 to 64 bytes. */
	readonly salt: string;
	readonly uuid: string;
}

/**
 * Appends superblock and hash tree to a file of whole blocks and says what a guest must know of them. Interrupted or failed,
 * the file has its old size again. Throws VouchError `verity-size`, `verity-parameters` or `verity-read`, or the signal's reason.
 */
export async function formatVerity(path: string, options: FormatOptions): Promise<Verity> {
	const salt = checkedSalt(path, options);
	await using file = await open(path, "r+");
	const { size } = await file.stat();
	if (size === 0 || size % VERITY_BLOCK_BYTES !== 0) throw fail("verity-size", { path, size: String(size) });
	const layout = layoutOf(size / VERITY_BLOCK_BYTES, size);
	try {
		const superblock = encodeSuperblock({ dataBlocks: layout.dataBlocks, salt, uuid: options.uuid });
		writeWhole(file.fd, superblock, layout.superblock);
		const digests = new SharedArrayBuffer(layout.groups * DIGEST_BYTES);
		const work: Work = { kind: "format", fd: file.fd, layout, salt, control: newControl(), digests };
		await takeAllGroups(work, options);
		const rootHash = writeUpperLevels(work).toString("hex");
		return {
			algorithm: "sha256",
			dataBlockSize: VERITY_BLOCK_BYTES,
			hashBlockSize: VERITY_BLOCK_BYTES,
			dataBlocks: layout.dataBlocks,
			hashOffset: size,
			salt: options.salt,
			uuid: options.uuid,
			rootHash,
		};
	} catch (error) {
		await file.truncate(size);
		if (options.signal?.aborted) throw error;
		throw fail("verity-read", { path, reason: error instanceof Error ? error.message : String(error) }, error);
	}
}

function checkedSalt(path: string, { salt, uuid }: FormatOptions): Uint8Array {
	const bytes = bytesFromHex(salt);
	if (bytes === undefined || !veritySchema.shape.salt.safeParse(salt).success) {
		throw fail("verity-parameters", { path, reason: "its salt is not 0 to 64 bytes in lower-case hexadecimal" });
	}
	if (!veritySchema.shape.uuid.safeParse(uuid).success) {
		throw fail("verity-parameters", { path, reason: "its UUID is none" });
	}
	return bytes;
}

/** The levels above level 0 are a 128th of it: not worth a thread. Returns the root hash. */
function writeUpperLevels({ fd, layout, salt, digests }: Work): Buffer {
	let below: Buffer = Buffer.from(digests);
	for (const level of layout.levels.slice(1)) {
		const bytes = Buffer.alloc(level.blocks * VERITY_BLOCK_BYTES);
		bytes.set(below);
		writeWhole(fd, bytes, level.start);
		below = digestsOfBlocks(bytes, salt);
	}
	return below;
}
