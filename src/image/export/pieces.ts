import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { createZstdDecompress, constants as zlib, zstdCompress } from "node:zlib";
import { type Digest, digestOf } from "../../core/index.ts";
import type { Part, PartName } from "../schema.ts";
import type { Piece } from "./artifact.ts";
import { ForeignImage } from "./image-document.ts";

const compress = promisify(zstdCompress);

/**
 * Layers of this size: what a lost connection costs at most where a registry can't resume a chunk (distribution 2 and 3
 * forget an upload that was cut in the middle of one), and what a push holds in memory per lane.
 */
const PIECE_BYTES = 16 * 2 ** 20;
const MOST_PIECES = 2048;
/** Compressed when that saves a tenth: packed file systems and kernels are compressed already, SBOMs are not. */
const WORTH_IT = 0.9;
const LEVEL = 3;

export interface ReadyPiece {
	readonly piece: Piece;
	readonly bytes: Uint8Array;
	/** Of the part, which may be more than `bytes`. */
	readonly plainBytes: number;
}

/**
 * The pieces of a stored part, in order, cut at the same places for everybody. Throws ForeignImage in the end when the file
 * was not what its digest names: no manifest must then be published.
 */
export async function* readPieces(part: PartName, { digest, size }: Part, path: string): AsyncGenerator<ReadyPiece> {
	const hash = createHash("sha256");
	const pieceBytes = pieceBytesOf(size);
	await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
	if ((await file.stat()).size !== size) throw new ForeignImage(`its ${part} has another size than it should`);
	for (let at = 0; at < size || at === 0; at += pieceBytes) {
		const plain = Buffer.alloc(Math.min(pieceBytes, size - at));
		const { bytesRead } = await file.read(plain, 0, plain.length, at);
		if (bytesRead !== plain.length) throw new ForeignImage(`its ${part} was cut short`);
		hash.update(plain);
		yield await readyPiece(part, plain);
	}
	if (`sha256:${hash.digest("hex")}` !== digest) throw new ForeignImage(`its ${part} is not what its digest names`);
}

/** A power of two of the usual size, for the few disks that would have too many pieces. */
function pieceBytesOf(size: number): number {
	let bytes = PIECE_BYTES;
	while (size / bytes > MOST_PIECES) bytes *= 2;
	return bytes;
}

async function readyPiece(part: PartName, plain: Buffer): Promise<ReadyPiece> {
	const packed = await compress(plain, { params: { [zlib.ZSTD_c_compressionLevel]: LEVEL } });
	const compression = packed.length < plain.length * WORTH_IT ? "zstd" : "none";
	const bytes = compression === "zstd" ? packed : plain;
	return {
		piece: { part, digest: digestOf(bytes), size: bytes.length, compression },
		bytes,
		plainBytes: plain.length,
	};
}

/**
 * Puts a part together from its pieces, in a file that must not exist yet. Never writes more than the part has, whatever a
 * piece unpacks to. Throws ForeignImage.
 */
export async function assemblePart(
	name: PartName,
	part: Part,
	pieces: readonly { readonly path: string; readonly compression: Piece["compression"] }[],
	target: string,
	{ signal, onBytes }: { readonly signal?: AbortSignal | undefined; readonly onBytes?: (bytes: number) => void } = {},
): Promise<void> {
	const hash = createHash("sha256");
	let size = 0;
	await using file = await open(target, "wx", 0o600);
	for (const piece of pieces) {
		for await (const chunk of openPiece(piece, name)) {
			signal?.throwIfAborted();
			if (size + chunk.length > part.size) throw new ForeignImage(`its ${name} has more than ${part.size} bytes`);
			hash.update(chunk);
			await file.writev([chunk], size);
			size += chunk.length;
			onBytes?.(chunk.length);
		}
	}
	if (size !== part.size) throw new ForeignImage(`its ${name} has ${size} bytes, not ${part.size}`);
	const found = `sha256:${hash.digest("hex")}` as Digest;
	if (found !== part.digest) throw new ForeignImage(`its ${name} is not what its digest names`);
}

async function* openPiece(
	{ path, compression }: { readonly path: string; readonly compression: Piece["compression"] },
	part: PartName,
): AsyncGenerator<Buffer> {
	await using file = await openPlain(path, part);
	const stored = file.createReadStream({ highWaterMark: 2 ** 20, autoClose: false });
	if (compression === "none") {
		yield* stored as AsyncIterable<Buffer>;
		return;
	}
	const unpacked: Readable = stored.pipe(createZstdDecompress({ chunkSize: 2 ** 20 }));
	stored.on("error", (error) => unpacked.destroy(error));
	try {
		yield* unpacked as AsyncIterable<Buffer>;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).syscall !== undefined) throw error;
		throw new ForeignImage(`a compressed layer of its ${part} can't be unpacked`, { cause: error });
	} finally {
		unpacked.destroy();
		stored.destroy();
	}
}

/** A file and nothing else: a link could lead anywhere, a pipe would never end. Throws ForeignImage. */
export async function openPlain(path: string, what: string): Promise<FileHandle> {
	const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
	const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
		const reason =
			error.code === "ENOENT" ? "is missing" : error.code === "ELOOP" ? "is a link" : `can't be read (${error.code})`;
		throw new ForeignImage(`its ${what} ${reason}`, { cause: error });
	});
	if ((await file.stat()).isFile()) return file;
	await file.close();
	throw new ForeignImage(`its ${what} is not a file`);
}
