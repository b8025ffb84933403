/**
 * initramfs: the archive that the kernel unpacks into memory: the guest program, and the modules in the order they are loaded.
 *
 * Hides     the newc cpio format.
 * Promises  a pure function of guest and modules: no times, no owners, no order of a folder gets into its bytes.
 * Never     compresses: a guest would take longer to unpack it than the host takes to copy it.
 * Start at  `initramfs.ts`.
 */
export { type InitramfsParts, writeInitramfs } from "./initramfs.ts";
