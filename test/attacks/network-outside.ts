/** The world outside the sandbox: servers that remember all that reaches them. */
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import type { Arrivals } from "./network-case.ts";

/** Kept of one connection. */
const KEPT_BYTES = 262_144;

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const REDIRECT = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/stolen\r\nContent-Length: 0\r\n\r\n";

interface Port {
	readonly connections: { readonly address: string; readonly chunks: Buffer[]; size: number }[];
	readonly datagrams: string[];
	readonly servers: readonly [Server, DatagramSocket];
}

export class Outside {
	readonly #ports = new Map<number, Port>();
	readonly #unix: Server[] = [];
	readonly #sockets = new Set<Socket>();
	unixText = "";
	unixConnections = 0;

	/** Listens for TCP and UDP on every address that this machine has, of both families. */
	async open(port: number): Promise<void> {
		if (this.#ports.has(port)) return;
		const server = createServer((socket) => this.#received(port, socket));
		const datagrams = createSocket("udp6");
		this.#ports.set(port, { connections: [], datagrams: [], servers: [server, datagrams] });
		datagrams.on("message", (message) => this.#ports.get(port)?.datagrams.push(message.toString("latin1")));
		await new Promise<void>((done, failed) => {
			server.once("error", failed);
			server.listen(port, "::", 4096, done);
		});
		await new Promise<void>((done, failed) => {
			datagrams.once("error", failed);
			datagrams.bind(port, "::", done);
		});
	}

	async openUnix(path: string): Promise<void> {
		const server = createServer((socket) => {
			this.unixConnections += 1;
			socket.on("data", (chunk) => {
				this.unixText += chunk.toString("latin1");
				socket.end();
			});
			socket.on("error", () => undefined);
		});
		this.#unix.push(server);
		await new Promise<void>((done) => server.listen(path, done));
	}

	#received(port: number, socket: Socket): void {
		const record = { address: (socket.localAddress ?? "").replace(/^::ffff:/, ""), chunks: [] as Buffer[], size: 0 };
		this.#ports.get(port)?.connections.push(record);
		this.#sockets.add(socket);
		socket.on("error", () => undefined);
		socket.on("close", () => this.#sockets.delete(socket));
		socket.on("data", (chunk: Buffer) => {
			record.size += chunk.length;
			if (record.size <= KEPT_BYTES) record.chunks.push(chunk);
			const download = /^GET \/download\/(\d+)/.exec(chunk.toString("latin1", 0, 40))?.[1];
			if (download === undefined) socket.write(chunk.includes("GET /redirect") ? REDIRECT : ANSWER);
			else
				socket.end(
					Buffer.concat([
						Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${download}\r\nConnection: close\r\n\r\n`),
						Buffer.alloc(Number(download), 0x5a),
					]),
				);
		});
	}

	arrivals(): Readonly<Record<number, Arrivals>> {
		const all = [...this.#ports].map(([port, { connections, datagrams }]) => [
			port,
			{
				connections: connections.map(({ address, chunks }) => ({
					address,
					text: Buffer.concat(chunks).toString("latin1"),
				})),
				datagrams,
			},
		]);
		return Object.fromEntries(all);
	}

	/** Bytes that one port took in altogether. */
	bytesAt(port: number): number {
		return (this.#ports.get(port)?.connections ?? []).reduce((sum, { size }) => sum + size, 0);
	}

	close(): void {
		for (const { servers } of this.#ports.values()) for (const server of servers) server.close();
		for (const server of this.#unix) server.close();
		for (const socket of this.#sockets) socket.destroy();
	}
}

/** Echo requests that this network has had, of both families. */
export function pingsReceived(): number {
	const v4 = /^Icmp: \d.*$/m.exec(readFileSync("/proc/net/snmp", "utf8"))?.[0].split(" ") ?? [];
	const names = /^Icmp: [A-Z].*$/m.exec(readFileSync("/proc/net/snmp", "utf8"))?.[0].split(" ") ?? [];
	const v6 = /^Icmp6InEchos\s+(\d+)/m.exec(readFileSync("/proc/net/snmp6", "utf8"))?.[1] ?? "0";
	return Number(v4[names.indexOf("InEchos")] ?? 0) + Number(v6);
}
