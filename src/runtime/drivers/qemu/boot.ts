import { chmod, mkdir, rm } from "node:fs/promises";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import type { Host, Supervised, SupervisionSpec } from "../../../host/index.ts";
import { OutputTail } from "./output-tail.ts";

/** A QEMU that runs, and what it says on the guest's console and for itself. */
export interface Booted {
	readonly supervised: Supervised;
	readonly console: OutputTail;
	readonly said: OutputTail;
}

export async function startMachine(
	spec: Omit<SupervisionSpec, "environment" | "descriptors">,
	host: Host,
): Promise<Booted> {
	const supervised = await host.supervise({ ...spec, environment: {}, descriptors: [] });
	supervised.stdin.end();
	return { supervised, console: new OutputTail(supervised.stdout), said: new OutputTail(supervised.stderr) };
}

/** A Unix socket that one program, another user maybe, connects to once. Its folder's parents keep everyone else out. */
export interface MeetingPlace extends AsyncDisposable {
	/** The first connection; null when `over` settles before. */
	meet(over: Promise<unknown>): Promise<Socket | null>;
}

export async function openMeetingPlace(path: string): Promise<MeetingPlace> {
	await mkdir(dirname(path), { recursive: true, mode: 0o755 });
	await rm(path, { force: true });
	const { promise: arrived, resolve: arrive } = Promise.withResolvers<Socket>();
	const server: Server = createServer({ highWaterMark: 262_144 }, (socket) => {
		// Whoever comes second is nobody we know.
		server.close();
		arrive(socket);
	});
	await new Promise<void>((resolve, reject) => {
		server.once("error", reject);
		server.listen(path, resolve);
	});
	await chmod(path, 0o666);
	return {
		meet: (over) => Promise.race([arrived, over.then(() => null)]),
		async [Symbol.asyncDispose]() {
			server.close();
			await rm(path, { force: true });
		},
	};
}

/** A connection of the guest, as one to the gate. */
export function gateDoor(gate: { readonly socket: string; readonly maxConnections: number }): {
	connect: () => Socket;
	maxConnections: number;
} {
	return {
		connect: () => createConnection({ path: gate.socket, allowHalfOpen: true }),
		maxConnections: gate.maxConnections,
	};
}
