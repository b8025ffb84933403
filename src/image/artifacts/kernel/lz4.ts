import { KernelRefusal } from "./refusal.ts";

/** The legacy frame (lz4_Frame_format.md, "Legacy frame"), which is what the kernel's build wraps a kernel in. */
export const LZ4_LEGACY_MAGIC = 0x184c2102;
const LEGACY_BLOCK_BYTES = 8 << 20;

/** The whole frame, whose contents must have exactly that many bytes. Throws KernelRefusal. */
export function decompressLz4Legacy(frame: Uint8Array, sizeBytes: number): Buffer {
	const view = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
	if (view.length < 4 || view.readUInt32LE(0) !== LZ4_LEGACY_MAGIC) throw new KernelRefusal("it is no LZ4 frame");
	const out = Buffer.alloc(sizeBytes);
	let filled = 0;
	for (let at = 4; filled < sizeBytes; ) {
		if (at + 4 > view.length) throw new KernelRefusal("its LZ4 frame ends early");
		const length = view.readUInt32LE(at);
		at += 4;
		if (length === 0 || at + length > view.length) throw new KernelRefusal("its LZ4 frame ends in a block");
		const end = Math.min(sizeBytes, filled + LEGACY_BLOCK_BYTES);
		const written = decompressBlock(view.subarray(at, at + length), out.subarray(filled, end));
		if (filled + written !== end) throw new KernelRefusal("a block of its LZ4 frame is too short");
		filled = end;
		at += length;
	}
	return out;
}

const MIN_MATCH = 4;

/** lz4_Block_format.md: sequences of literals and a match, the last without one. Says how many bytes it wrote. */
export function decompressBlock(block: Buffer, out: Buffer): number {
	let [from, to] = [0, 0];
	/** A length of 15 goes on in bytes, of which the last is not 255. */
	const extended = (start: number): number => {
		let length = start;
		if (start !== 15) return length;
		for (let byte = 255; byte === 255; ) {
			const next = block[from];
			if (next === undefined) throw new KernelRefusal("its LZ4 block ends in a length");
			byte = next;
			length += byte;
			from += 1;
		}
		return length;
	};
	while (from < block.length) {
		const token = block[from] ?? 0;
		from += 1;
		const literals = extended(token >> 4);
		if (from + literals > block.length || to + literals > out.length) {
			throw new KernelRefusal("its LZ4 block has more literals than there are bytes");
		}
		block.copy(out, to, from, from + literals);
		from += literals;
		to += literals;
		if (from === block.length) return to;
		if (from + 2 > block.length) throw new KernelRefusal("its LZ4 block ends in an offset");
		const offset = block.readUInt16LE(from);
		from += 2;
		const length = extended(token & 15) + MIN_MATCH;
		if (offset === 0 || offset > to || to + length > out.length) {
			throw new KernelRefusal("its LZ4 block copies from or to where nothing is");
		}
		copyMatch(out, to, offset, length);
		to += length;
	}
	throw new KernelRefusal("its LZ4 block does not end with literals");
}

/** May overlap: then what was just written repeats. Doubles the part that is there, so that each copy is one call. */
function copyMatch(out: Buffer, to: number, offset: number, length: number): void {
	const start = to - offset;
	for (let done = 0; done < length; ) {
		const step = Math.min(length - done, offset + done);
		out.copyWithin(to + done, start, start + step);
		done += step;
	}
}
