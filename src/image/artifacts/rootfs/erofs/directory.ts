import { BLOCK_BYTES, DIRENT_BYTES, FILE_TYPES } from "./format.ts";

export interface Dirent {
	/** Raw. */
	readonly name: string;
	readonly kind: keyof typeof FILE_TYPES;
	readonly number: number;
}

/** How many of the sorted names go into each block, and the bytes of the whole folder. A block ends before the name that doesn't fit. */
export function measureDirectory(names: readonly string[]): {
	readonly counts: readonly number[];
	readonly sizeBytes: number;
} {
	const counts: number[] = [];
	let [count, used] = [0, 0];
	for (const name of names) {
		const bytes = DIRENT_BYTES + name.length;
		if (used + bytes > BLOCK_BYTES) {
			counts.push(count);
			[count, used] = [0, 0];
		}
		count += 1;
		used += bytes;
	}
	return { counts: [...counts, count], sizeBytes: counts.length * BLOCK_BYTES + used };
}

/** The contents of a folder: in each block first the entries, then their names, both in byte order of the names. */
export function encodeDirectory(entries: readonly Dirent[]): Buffer {
	const { counts, sizeBytes } = measureDirectory(entries.map(({ name }) => name));
	const bytes = Buffer.alloc(sizeBytes);
	let first = 0;
	for (const [block, count] of counts.entries()) {
		const start = block * BLOCK_BYTES;
		let nameAt = count * DIRENT_BYTES;
		for (const [index, { name, kind, number }] of entries.slice(first, first + count).entries()) {
			const at = start + index * DIRENT_BYTES;
			// 64 bits, of which a disk of 2^32 blocks needs 39.
			bytes.writeUInt32LE(number % 2 ** 32, at);
			bytes.writeUInt32LE(Math.floor(number / 2 ** 32), at + 4);
			bytes.writeUInt16LE(nameAt, at + 8);
			bytes.writeUInt8(FILE_TYPES[kind], at + 10);
			bytes.write(name, start + nameAt, "latin1");
			nameAt += name.length;
		}
		first += count;
	}
	return bytes;
}
