import { close, constants, fstat, open } from "node:fs";
import { connect, type Socket } from "node:net";
import { promisify } from "node:util";

/** fcntl.h O_PATH, which Node does not name: a handle on the entry itself, be it a link. */
const HANDLE_ONLY = 0o10000000 | constants.O_NOFOLLOW;

/**
 * Connects to a socket in a folder that the other side may write to. By a handle: a link there could lead to any socket of
 * the machine, which this process may be allowed to use and the other side not. It also keeps paths within the 108 bytes
 * of unix(7). Rejects with the system's error; ENOTSOCK when something else is there.
 */
export async function connectPrivately(path: string): Promise<Socket> {
	const fd = await promisify(open)(path, HANDLE_ONLY);
	try {
		if (!(await promisify(fstat)(fd)).isSocket()) {
			throw Object.assign(new Error(`${path} is not a socket`), { code: "ENOTSOCK" });
		}
		const socket = connect({ path: `/proc/self/fd/${fd}` });
		await new Promise<void>((resolve, reject) => {
			socket.once("connect", resolve);
			socket.once("error", reject);
		});
		return socket;
	} finally {
		await promisify(close)(fd);
	}
}
