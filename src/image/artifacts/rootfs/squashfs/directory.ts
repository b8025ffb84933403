import { fieldBytes, INODE_TYPES, type MetadataPosition } from "./format.ts";

export interface Dirent {
	/** Raw. */
	readonly name: string;
	readonly kind: keyof typeof INODE_TYPES;
	readonly serial: number;
	readonly position: MetadataPosition;
}

const MAX_RUN = 256;
const MAX_DISTANCE = 32_767;

/** The listing of a folder: runs of names whose inodes lie in one block and have serials near each other. */
export function encodeListing(entries: readonly Dirent[]): Buffer {
	const parts: Buffer[] = [];
	for (let first = 0; first < entries.length; ) {
		const head = entries[first];
		if (head === undefined) break;
		let end = first + 1;
		while (end < entries.length && end - first < MAX_RUN && belongs(head, entries[end])) end += 1;
		parts.push(
			fieldBytes([
				[4, end - first - 1],
				[4, head.position.block],
				[4, head.serial],
			]),
		);
		for (const { name, kind, serial, position } of entries.slice(first, end)) {
			// The distance is signed.
			const fields = [
				[2, position.offset],
				[2, (serial - head.serial) & 0xffff],
				[2, INODE_TYPES[kind]],
				[2, name.length - 1],
			] as const;
			parts.push(fieldBytes(fields), Buffer.from(name, "latin1"));
		}
		first = end;
	}
	return Buffer.concat(parts);
}

function belongs(head: Dirent, entry: Dirent | undefined): boolean {
	if (entry === undefined || entry.position.block !== head.position.block) return false;
	return Math.abs(entry.serial - head.serial) <= MAX_DISTANCE;
}
