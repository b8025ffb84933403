/** What the kernel's own documentation (driver-api/early-userspace/buffer-format.rst) says of cpio, as far as it is needed. */
export type ArchiveEntry =
	| { readonly path: string; readonly kind: "directory" }
	| { readonly path: string; readonly kind: "file" | "program"; readonly bytes: Uint8Array };

const MODES = { directory: 0o040755, file: 0o100644, program: 0o100755 } as const;
const MAGIC = "070701";
const TRAILER = "TRAILER!!!";
const MAX_FILE_BYTES = 0xffff_ffff;

/** Entries in the order given, folders before what is in them. Numbered from 1, of root, of 1970. */
export function writeArchive(entries: readonly ArchiveEntry[]): Uint8Array {
	const pieces = entries.flatMap((entry, index) => piecesOf(entry, index + 1));
	pieces.push(headerOf({ path: TRAILER, inode: 0, mode: 0, links: 1, size: 0 }));
	return Buffer.concat(pieces);
}

function piecesOf(entry: ArchiveEntry, inode: number): readonly Uint8Array[] {
	const { path, kind } = entry;
	const bytes = entry.kind === "directory" ? new Uint8Array() : entry.bytes;
	if (bytes.length > MAX_FILE_BYTES) throw new RangeError(`${path} has more bytes than a header can say`);
	const links = kind === "directory" ? 2 : 1;
	return [headerOf({ path, inode, mode: MODES[kind], links, size: bytes.length }), bytes, paddingAfter(bytes.length)];
}

interface Header {
	readonly path: string;
	readonly inode: number;
	readonly mode: number;
	readonly links: number;
	readonly size: number;
}

function headerOf({ path, inode, mode, links, size }: Header): Uint8Array {
	const name = Buffer.from(`${path}\0`, "latin1");
	const [owner, group, time, device, nodeDevice, check] = [0, 0, 0, [0, 0], [0, 0], 0];
	const numbers = [inode, mode, owner, group, links, time, size, ...device, ...nodeDevice, name.length, check];
	const text = MAGIC + numbers.map((number) => number.toString(16).toUpperCase().padStart(8, "0")).join("");
	const header = Buffer.concat([Buffer.from(text, "latin1"), name]);
	return Buffer.concat([header, paddingAfter(header.length)]);
}

function paddingAfter(length: number): Uint8Array {
	return new Uint8Array((4 - (length % 4)) % 4);
}
