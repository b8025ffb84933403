import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { Host } from "../../../host/index.ts";
import { trimmedProgram } from "./elf.ts";
import { decompressLz4Legacy } from "./lz4.ts";
import { KernelRefusal } from "./refusal.ts";
import { unxz } from "./xz.ts";

/** Documentation/arch/x86/boot.rst: where a bzImage says what it holds. */
const HEADER = {
	setupSectors: 0x1f1,
	magic: 0x202,
	version: 0x206,
	payloadOffset: 0x248,
	payloadLength: 0x24c,
} as const;
const MIN_VERSION = 0x0208;
const MAX_KERNEL_BYTES = 256 << 20;

/**
 * The kernel inside of a bzImage, as the ELF program that virtual machine monitors start without firmware: a guest that
 * unpacks itself takes a quarter of a second of each emulated boot for it.
 */
export async function programOfBzImage(host: Host, bytes: Buffer, signal?: AbortSignal): Promise<Buffer> {
	return trimmedProgram(await decompressedPayload(host, payloadOf(bytes), signal));
}

const IMAGE_MAGIC_AT = 0x38;

/** A kernel that is what machines start already, and not one that unpacks itself. */
export function checkedImage(bytes: Buffer, magic: string): Buffer {
	if (bytes.toString("latin1", IMAGE_MAGIC_AT, IMAGE_MAGIC_AT + magic.length) === magic) return bytes;
	throw new KernelRefusal("its kernel is not an uncompressed Image of that architecture");
}

export function payloadOf(bytes: Buffer): Buffer {
	const isOne = bytes.length >= 0x250 && bytes.toString("latin1", HEADER.magic, HEADER.magic + 4) === "HdrS";
	if (!isOne || bytes.readUInt16LE(HEADER.version) < MIN_VERSION) throw new KernelRefusal("its kernel is no bzImage");
	const start = (bytes.readUInt8(HEADER.setupSectors) + 1) * 512 + bytes.readUInt32LE(HEADER.payloadOffset);
	const length = bytes.readUInt32LE(HEADER.payloadLength);
	if (length < 16 || start + length > bytes.length)
		throw new KernelRefusal("its kernel says that it lies beyond its end");
	return bytes.subarray(start, start + length);
}

/** The kernel's build writes the size of the contents behind them, except with gzip, which ends with it by itself. */
async function decompressedPayload(host: Host, payload: Buffer, signal?: AbortSignal): Promise<Buffer> {
	const sizeBytes = payload.readUInt32LE(payload.length - 4);
	if (sizeBytes > MAX_KERNEL_BYTES) throw new KernelRefusal(`its kernel claims ${sizeBytes} bytes`);
	const compressed = payload.subarray(0, -4);
	const bytes = await decompressedAs(payload.toString("hex", 0, 4), { host, payload, compressed, sizeBytes, signal });
	if (bytes.length !== sizeBytes) throw new KernelRefusal("its kernel has another size than it says");
	return bytes;
}

interface Compressed {
	readonly host: Host;
	readonly payload: Buffer;
	readonly compressed: Buffer;
	readonly sizeBytes: number;
	readonly signal: AbortSignal | undefined;
}

async function decompressedAs(
	magic: string,
	{ host, payload, compressed, sizeBytes, signal }: Compressed,
): Promise<Buffer> {
	try {
		if (magic === "02214c18") return decompressLz4Legacy(compressed, sizeBytes);
		if (magic === "28b52ffd") return zstdDecompressSync(compressed, { maxOutputLength: sizeBytes });
		if (magic.startsWith("1f8b")) return gunzipSync(payload, { maxOutputLength: sizeBytes });
		if (magic === "fd377a58") return await unxz(host, compressed, sizeBytes, signal);
	} catch (error) {
		signal?.throwIfAborted();
		if (error instanceof KernelRefusal) throw error;
		throw new KernelRefusal(`its kernel can't be decompressed: ${(error as Error).message}`, { cause: error });
	}
	throw new KernelRefusal(`its kernel is compressed in an unknown way, beginning with ${magic}`);
}
