/** ELF files for tests: as little of one as the readers look at. */
export interface SampleSegment {
	readonly at: number;
	readonly bytes: Buffer;
	/** Zeros that the file has behind them. */
	readonly zeros?: number;
}

const HEADER_BYTES = 64;

function header(): Buffer {
	const bytes = Buffer.alloc(HEADER_BYTES);
	Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(bytes);
	bytes.writeUInt16LE(HEADER_BYTES, 52);
	return bytes;
}

/** A relocatable file with one section of that name, as a module is. */
export function sampleModule(info: string, section = ".modinfo"): Buffer {
	const names = Buffer.from(`\0${section}\0.shstrtab\0`, "latin1");
	const contents = Buffer.from(info, "latin1");
	const first = header();
	const sectionsAt = HEADER_BYTES + names.length + contents.length;
	first.writeBigUInt64LE(BigInt(sectionsAt), 40);
	first.writeUInt16LE(64, 58);
	first.writeUInt16LE(3, 60);
	first.writeUInt16LE(1, 62);
	const sections = Buffer.alloc(3 * 64);
	const describe = (index: number, name: number, at: number, length: number) => {
		sections.writeUInt32LE(name, index * 64);
		sections.writeBigUInt64LE(BigInt(at), index * 64 + 24);
		sections.writeBigUInt64LE(BigInt(length), index * 64 + 32);
	};
	describe(1, section.length + 2, HEADER_BYTES, names.length);
	describe(2, 1, HEADER_BYTES + names.length, contents.length);
	return Buffer.concat([first, names, contents, sections]);
}

/** A program of such segments, with something behind the last of them. */
export function sampleProgram(segments: readonly SampleSegment[]): Buffer {
	const ends = segments.map(({ at, bytes, zeros = 0 }) => at + bytes.length + zeros);
	const file = Buffer.alloc(Math.max(...ends) + 100, 0);
	header().copy(file);
	file.fill(0xee, Math.max(...ends));
	file.writeBigUInt64LE(64n, 32);
	file.writeBigUInt64LE(BigInt(file.length - 10), 40);
	file.writeUInt16LE(56, 54);
	file.writeUInt16LE(segments.length, 56);
	file.writeUInt16LE(64, 58);
	file.writeUInt16LE(3, 60);
	for (const [index, { at, bytes, zeros = 0 }] of segments.entries()) {
		const start = 64 + index * 56;
		file.writeUInt32LE(1, start);
		file.writeBigUInt64LE(BigInt(at), start + 8);
		file.writeBigUInt64LE(BigInt(bytes.length + zeros), start + 32);
		file.writeBigUInt64LE(BigInt(bytes.length + zeros), start + 40);
		bytes.copy(file, at);
	}
	return file;
}

/** A signature as scripts/sign-file appends it. */
export function signed(module: Buffer, signatureBytes: number): Buffer {
	const trailer = Buffer.alloc(12);
	trailer.writeUInt32BE(signatureBytes, 8);
	const text = Buffer.from("~Module signature appended~\n", "latin1");
	return Buffer.concat([module, Buffer.alloc(signatureBytes, 0x30), trailer, text]);
}
