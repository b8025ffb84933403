import { concatBytes } from "../core/index.ts";

/** Entry bundles of C2SP tlog-tiles: each entry behind its length as a big-endian uint16. */

export const MAX_ENTRY_BYTES = 65_535;
const LENGTH_BYTES = 2;

export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
	return concatBytes(...entries.flatMap((entry) => [Uint8Array.of(entry.length >> 8, entry.length & 0xff), entry]));
}

/** The entries of a bundle; fewer than there should be when the bytes run out, more when there are more. */
export function decodeBundle(bytes: Uint8Array): {
	readonly entries: readonly Uint8Array[];
	readonly spareBytes: number;
} {
	const entries: Uint8Array[] = [];
	let offset = 0;
	while (offset + LENGTH_BYTES <= bytes.length) {
		const length = ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
		if (offset + LENGTH_BYTES + length > bytes.length) break;
		entries.push(bytes.subarray(offset + LENGTH_BYTES, offset + LENGTH_BYTES + length));
		offset += LENGTH_BYTES + length;
	}
	return { entries, spareBytes: bytes.length - offset };
}
