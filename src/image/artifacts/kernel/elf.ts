import { KernelRefusal } from "./refusal.ts";

/** As much of ELF (gABI, 64-bit little-endian) as kernels and modules need. All offsets are checked against the bytes. */
const IDENTITY = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const SECTION_BYTES = 64;

function checkedHeader(bytes: Buffer): void {
	if (bytes.length < HEADER_BYTES || !bytes.subarray(0, IDENTITY.length).equals(IDENTITY)) {
		throw new KernelRefusal("it is no 64-bit ELF file");
	}
}

/** A position or size: more than a number holds is beyond any file. */
function wordAt(bytes: Buffer, at: number): number {
	return Number(bytes.readBigUInt64LE(at));
}

function tableAt(bytes: Buffer, start: number, count: number, entryBytes: number): readonly Buffer[] {
	if (start + count * entryBytes > bytes.length)
		throw new KernelRefusal("a table of its ELF header lies beyond its end");
	return Array.from({ length: count }, (_, index) =>
		bytes.subarray(start + index * entryBytes, start + (index + 1) * entryBytes),
	);
}

/**
 * A copy of a program up to the last byte of its segments that isn't zero, without section headers: the rest is for debuggers
 * and for moving the kernel about, and a loader fills with zeros what a segment has in memory and not in the file.
 */
export function trimmedProgram(bytes: Buffer): Buffer {
	checkedHeader(bytes);
	const [start, entryBytes, count] = [wordAt(bytes, 32), bytes.readUInt16LE(54), bytes.readUInt16LE(56)];
	if (entryBytes !== SEGMENT_BYTES || count === 0 || start < HEADER_BYTES) {
		throw new KernelRefusal("its ELF header has no segments");
	}
	const headersEnd = start + count * SEGMENT_BYTES;
	const segments = tableAt(bytes, start, count, SEGMENT_BYTES).map((segment) => [
		wordAt(segment, 8),
		wordAt(segment, 32),
	]);
	const last = Math.max(...segments.map(([at = 0, length = 0]) => at + length));
	if (last > bytes.length) throw new KernelRefusal("a segment of its ELF file lies beyond its end");
	const end = Math.max(headersEnd, endWithoutZeros(bytes, last));
	const trimmed = Buffer.from(bytes.subarray(0, end));
	for (const [index, [at = 0, length = 0]] of segments.entries()) {
		const shorter = Math.max(0, Math.min(length, end - at));
		trimmed.writeBigUInt64LE(BigInt(shorter), start + index * SEGMENT_BYTES + 32);
	}
	trimmed.writeBigUInt64LE(0n, 40);
	trimmed.writeUInt16LE(0, 60);
	trimmed.writeUInt16LE(0, 62);
	return trimmed;
}

function endWithoutZeros(bytes: Buffer, from: number): number {
	let end = from;
	while (end > 0 && bytes[end - 1] === 0) end -= 1;
	return end;
}

/** Bytes of the first section of that name, or undefined. */
export function sectionOf(bytes: Buffer, name: string): Buffer | undefined {
	checkedHeader(bytes);
	const [start, entryBytes] = [wordAt(bytes, 40), bytes.readUInt16LE(58)];
	const [count, namesIndex] = [bytes.readUInt16LE(60), bytes.readUInt16LE(62)];
	if (count === 0) return undefined;
	if (entryBytes !== SECTION_BYTES) throw new KernelRefusal("its ELF sections have an unknown form");
	const sections = tableAt(bytes, start, count, SECTION_BYTES);
	const namesHeader = sections[namesIndex];
	if (namesHeader === undefined) throw new KernelRefusal("its ELF sections have no names");
	const names = contentsOf(bytes, namesHeader);
	const wanted = Buffer.from(`${name}\0`, "latin1");
	const found = sections.find((section) => {
		const at = section.readUInt32LE(0);
		return names.subarray(at, at + wanted.length).equals(wanted);
	});
	return found === undefined ? undefined : contentsOf(bytes, found);
}

function contentsOf(bytes: Buffer, section: Buffer): Buffer {
	const [at, length] = [wordAt(section, 24), wordAt(section, 32)];
	if (at + length > bytes.length) throw new KernelRefusal("a section of its ELF file lies beyond its end");
	return bytes.subarray(at, at + length);
}
