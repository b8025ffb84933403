import { printablePath } from "../../../host/index.ts";
import { isRawUtf8 } from "./raw-text.ts";
import { Refusal } from "./source.ts";
import type { Xattr } from "./tree.ts";

/** What Linux has a handler for. Others, like those of macOS, no Linux file system keeps. */
const KEPT = /^(?:user|trusted|security)\.[\s\S]|^system\.posix_acl_(?:access|default)$/;
/** An overlay's notes to itself: in an image they would speak of layers that are no more, to the guest's own overlay. */
const OVERLAY = /^(?:trusted|user)\.overlay\./;
/** XATTR_NAME_MAX, and one byte less than XATTR_SIZE_MAX, as erofs has 16 bits for it. */
const [MAX_NAME_BYTES, MAX_VALUE_BYTES] = [255, 65535];
/** Of one entry, names and values. */
const MAX_ALL_BYTES = 128 * 1024;

/** The xattrs that go into the image, in byte order of their names. Throws Refusal. */
export function keptXattrs(entry: string, xattrs: readonly Xattr[]): readonly Xattr[] {
	if (xattrs.length === 0) return xattrs;
	const kept = xattrs.filter(({ name }) => KEPT.test(name) && !OVERLAY.test(name));
	const refuse = (reason: string) => new Refusal(printablePath(entry), reason);
	let bytes = 0;
	for (const { name, value } of kept) {
		const shown = printablePath(name);
		if (name.includes("\0") || !isRawUtf8(name)) throw refuse(`the name of its xattr ${shown} is not valid UTF-8`);
		if (name.length > MAX_NAME_BYTES) throw refuse(`the name of its xattr ${shown} has over ${MAX_NAME_BYTES} bytes`);
		if (value.length > MAX_VALUE_BYTES) throw refuse(`its xattr ${shown} has over ${MAX_VALUE_BYTES} bytes`);
		bytes += name.length + value.length;
	}
	if (bytes > MAX_ALL_BYTES) throw refuse(`its xattrs have over ${MAX_ALL_BYTES} bytes`);
	return kept.toSorted((left, right) => (left.name < right.name ? -1 : 1));
}
