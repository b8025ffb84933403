import { closeSync, openSync, rmSync, writeSync } from "node:fs";

/** Makes a file that was not there; when `act` fails it is gone again. */
export async function makeDisk<T>(path: string, fileMode: number, act: (file: number) => Promise<T>): Promise<T> {
	const file = openSync(path, "wx+", fileMode);
	try {
		return await act(file);
	} catch (error) {
		rmSync(path, { force: true });
		throw error;
	} finally {
		closeSync(file);
	}
}

export function writeAll(file: number, bytes: Uint8Array, position: number): void {
	for (let done = 0; done < bytes.length; ) {
		done += writeSync(file, bytes, done, bytes.length - done, position + done);
	}
}

/** new_encode_dev() of include/linux/kdev_t.h, which both formats store. */
export function encodeDevice(major: number, minor: number): number {
	return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
