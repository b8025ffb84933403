import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fail } from "./failures.ts";
import { connectPrivately } from "./private-socket.ts";

/** Where the guest listens. */
export const GUEST_PORT = 1024;

export interface VsockOptions {
	/** On the host. */
	readonly socketPath: string;
	readonly timeoutMs: number;
	readonly signal: AbortSignal;
}

const POLL_MS = 5;
/** A guest that is not up yet may leave an attempt unanswered; the next one then finds it. */
const ATTEMPT_MS = 1000;
/** `OK`, a port number and a line feed. */
const LONGEST_ANSWER_BYTES = 32;

/**
 * A connection to the guest: Firecracker listens on a Unix socket, is told `CONNECT PORT` and answers `OK PORT` once the
 * guest has accepted (its docs/vsock.md); while nobody listens inside it closes the connection. Nothing of what the guest
 * says after that is lost: the socket is paused.
 */
export async function connectGuest(options: VsockOptions): Promise<Socket> {
	const { socketPath, timeoutMs, signal } = options;
	const startedMs = performance.now();
	while (true) {
		try {
			return await attempt(socketPath, Math.min(ATTEMPT_MS, timeoutMs), signal);
		} catch (error) {
			const reason = signal.aborted ? signal.reason : error;
			if (signal.aborted || performance.now() - startedMs + POLL_MS > timeoutMs) {
				const words = reason instanceof Error ? reason.message : String(reason);
				throw fail("guest-not-listening", { timeoutMs: String(timeoutMs), reason: words }, error);
			}
			await sleep(POLL_MS);
		}
	}
}

async function attempt(socketPath: string, timeoutMs: number, signal: AbortSignal): Promise<Socket> {
	const socket = await connectPrivately(socketPath);
	try {
		socket.write(`CONNECT ${GUEST_PORT}\n`);
		const rest = await greeting(socket, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
		if (rest.length > 0) socket.unshift(rest);
		return socket;
	} catch (error) {
		socket.destroy();
		throw error;
	}
}

/** What came after the answer. The socket is paused then, with no listener of ours. */
function greeting(socket: Socket, signal: AbortSignal): Promise<Buffer> {
	return new Promise((resolve, reject) => {
		let held = Buffer.alloc(0);
		const settle = (act: () => void) => {
			socket.pause();
			socket.off("data", onData);
			socket.off("close", onClose);
			socket.off("error", onClose);
			signal.removeEventListener("abort", onAbort);
			act();
		};
		const onAbort = () => settle(() => reject(signal.reason));
		const onClose = () => settle(() => reject(new Error("nobody listens in the guest")));
		const onData = (part: Buffer) => {
			held = Buffer.concat([held, part]);
			const end = held.indexOf("\n");
			if (end < 0 && held.length <= LONGEST_ANSWER_BYTES) return;
			const isOk = end >= 0 && /^OK \d{1,10}$/.test(held.toString("latin1", 0, end));
			settle(isOk ? () => resolve(held.subarray(end + 1)) : () => reject(new Error("its answer is not OK and a port")));
		};
		socket.on("data", onData);
		socket.on("close", onClose);
		socket.on("error", onClose);
		signal.addEventListener("abort", onAbort);
	});
}
