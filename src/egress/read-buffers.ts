/**
 * Read buffers of upstream connections, used again and again: making one for each short connection would have the
 * garbage collector run all the time.
 */
const READ_BYTES = 262_144;
const KEPT = 64;
const free: Buffer[] = [];

/** A buffer for one connection. One read of it means fewer system calls; past this size the gain is lost to the cache. */
export function lendReadBuffer(): Buffer {
	return free.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
}

/** Takes a buffer back. Nothing may still refer to its bytes: the next connection overwrites them. */
export function returnReadBuffer(buffer: Buffer): void {
	if (free.length < KEPT) free.push(buffer);
}
