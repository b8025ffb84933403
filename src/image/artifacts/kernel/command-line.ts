import type { Platform, RootfsFormat, Verity } from "../../schema.ts";
import { PLATFORMS } from "./platforms.ts";

/**
 * The kernel's whole command line, but for what only the machine that boots it knows. The guest refuses one whose `vouch.`
 * words occur twice or are unknown (guest/command-line.c), and finds its root and the root hash in them.
 */
export function commandLineFor(platform: Platform, format: RootfsFormat, verity: Verity): string {
	const { console, words } = PLATFORMS[platform];
	const { algorithm, dataBlockSize, dataBlocks, hashBlockSize, hashOffset, salt, rootHash } = verity;
	// The superblock takes a block, and the tree starts in the next.
	const hashStart = hashOffset / hashBlockSize + 1;
	const table = [1, algorithm, dataBlockSize, dataBlocks, hashStart, salt === "" ? "-" : salt, rootHash];
	return [
		`console=${console}`,
		"quiet",
		"panic=-1",
		"reboot=t",
		...words,
		// The self-tests of ciphers take a fifth of a second of an emulated boot, and prove nothing of this kernel that Debian has not.
		"cryptomgr.notests",
		`vouch.rootfs=${format === "erofs" ? "erofs" : "squashfs"}`,
		`vouch.verity=${table.join(":")}`,
	].join(" ");
}
