/** Real sockets for the tests of the gate: instrumented servers, a gate that listens, and a sandbox's ways to reach it. */
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Digest, digestOf } from "../../src/core/index.ts";
import { compileRules, type Gate, type GateOptions, openGate } from "../../src/egress/index.ts";
import type { LedgerEntry, NetworkRules } from "../../src/egress/schema.ts";

/** A server that remembers every byte that reached it. */
export interface Witness {
	readonly port: number;
	received(): string;
	readonly connections: () => number;
	close(): void;
}

export type Behaviour = (socket: Socket, chunk: Buffer) => void;

export const answerHttp: Behaviour = (socket) => {
	socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
};

export async function witness(behave: Behaviour = answerHttp, greeting = "", host = "127.0.0.1"): Promise<Witness> {
	const chunks: Buffer[] = [];
	const sockets = new Set<Socket>();
	let connections = 0;
	const server: Server = createServer((socket) => {
		connections += 1;
		sockets.add(socket);
		socket.on("error", () => undefined);
		if (greeting !== "") socket.write(greeting);
		socket.on("data", (chunk: Buffer) => {
			chunks.push(chunk);
			behave(socket, chunk);
		});
	});
	await new Promise<void>((done) => server.listen(0, host, done));
	return {
		port: (server.address() as AddressInfo).port,
		received: () => Buffer.concat(chunks).toString("latin1"),
		connections: () => connections,
		close: () => {
			server.close();
			for (const socket of sockets) socket.destroy();
		},
	};
}

export interface TestGate {
	readonly gate: Gate;
	readonly lookups: string[];
	entries(): Promise<LedgerEntry[]>;
	/** A connection that the supervisor carries to an address. */
	toAddress(address: string, port: number): Socket;
	/** A connection to the gate's own proxy port. */
	toProxy(): Socket;
	/** What the sandbox's resolver learns: an address, or the DNS code. */
	resolve(name: string, type?: number): Promise<string>;
	query(message: Buffer): Promise<Buffer>;
	stop(): Promise<void>;
}

export interface TestGateOptions extends Partial<Omit<GateOptions, "rules" | "socketPath" | "resolver">> {
	readonly rules?: Partial<NetworkRules>;
	/** Name → addresses; what isn't here has none. A function answers anew each time. */
	readonly names?: Readonly<Record<string, readonly string[] | (() => readonly string[])>>;
}

export const FAST = { firstFlightMs: 500, headMs: 800, lingerMs: 30, connectMs: 10_000, idleMs: 10_000 } as const;

const testRoot = (leaves: Uint8Array[]): Digest => digestOf(Buffer.concat(leaves));

let carriedId = 0;

export async function testGate(options: TestGateOptions = {}): Promise<TestGate> {
	const { rules = {}, names = {}, limits = {}, ...rest } = options;
	const compiled = compileRules({ mode: "allowlist", allow: [], deny: [], http: [], ...rules });
	if (compiled.kind === "invalid") throw new Error(compiled.reasons[0].sentence);
	const folder = await mkdtemp(join(tmpdir(), "vouch-gate-"));
	const lookups: string[] = [];
	const resolver = {
		addressesOf: async (name: string) => {
			lookups.push(name);
			const found = names[name];
			return (typeof found === "function" ? found() : found) ?? [];
		},
	};
	const socketPath = join(folder, "gate.sock");
	const gate = await openGate({ ...rest, rules: compiled.rules, socketPath, resolver, limits: { ...FAST, ...limits } });
	const carry = (kind: string, address: string, port: number): Socket => {
		carriedId += 1;
		const socket = connect({ path: gate.socketPath, allowHalfOpen: true });
		socket.on("error", () => undefined);
		socket.write(`VOUCH1 ${kind} ${carriedId} 10.0.2.2 ${40_000 + (carriedId % 20_000)} ${address} ${port}\n`);
		return socket;
	};
	const query = async (message: Buffer): Promise<Buffer> => {
		const socket = carry("dns", "10.0.2.1", 53);
		const length = Buffer.alloc(2);
		length.writeUInt16BE(message.length);
		socket.write(Buffer.concat([length, message]));
		return Buffer.from(await readAll(socket), "latin1").subarray(2);
	};
	return {
		gate,
		lookups,
		query,
		entries: async () => (await gate.close({ counters: null, merkleRoot: testRoot })).entries,
		toAddress: (address, port) => carry("tcp", address, port),
		toProxy: () => carry("tcp", "10.0.2.1", 9080),
		resolve: async (name, type = 1) => {
			const answer = await query(dnsQuery(name, type));
			if (answer.length < 12) return "dropped";
			const code = (answer[3] ?? 0) & 15;
			if (code !== 0) return `code ${code}`;
			return answer.readUInt16BE(6) === 0 ? "no data" : [...answer.subarray(-4)].join(".");
		},
		stop: async () => {
			await gate.close({ counters: null, merkleRoot: testRoot });
			await rm(folder, { recursive: true, force: true });
		},
	};
}

export function dnsQuery(name: string, type = 1): Buffer {
	const labels = name
		.split(".")
		.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")]));
	const header = Buffer.from("1234010000010000000000000000".slice(0, 24), "hex");
	return Buffer.concat([header, ...labels, Buffer.from([0, 0, type, 0, 1])]);
}

/** Everything a socket says until it ends; destroyed after the time. What has ended already says nothing more. */
export async function readAll(socket: Socket, timeoutMs = 30_000): Promise<string> {
	if (socket.readableEnded || socket.destroyed) return "";
	const chunks: Buffer[] = [];
	socket.on("data", (chunk: Buffer) => chunks.push(chunk));
	await new Promise<void>((done) => {
		const timer = setTimeout(done, timeoutMs);
		for (const event of ["end", "close"]) {
			socket.once(event, () => {
				clearTimeout(timer);
				done();
			});
		}
	});
	socket.destroy();
	return Buffer.concat(chunks).toString("latin1");
}

/** Sends everything at once and returns what comes back. */
export function talk(socket: Socket, words: string | Buffer, timeoutMs?: number): Promise<string> {
	socket.write(typeof words === "string" ? Buffer.from(words, "latin1") : words);
	return readAll(socket, timeoutMs);
}

/** Waits for text to come back. */
export function until(socket: Socket, text: string, timeoutMs = 30_000): Promise<string> {
	return new Promise((resolve, reject) => {
		let got = "";
		const timer = setTimeout(
			() => reject(new Error(`no ${JSON.stringify(text)} in ${JSON.stringify(got)}`)),
			timeoutMs,
		);
		const look = (chunk: Buffer): void => {
			got += chunk.toString("latin1");
			if (!got.includes(text)) return;
			clearTimeout(timer);
			socket.off("data", look);
			resolve(got);
		};
		socket.on("data", look);
	});
}

export interface HelloOptions {
	readonly sni?: string | null;
	readonly extensions?: readonly Buffer[];
	/** Record sizes to cut the message into. */
	readonly recordBytes?: number;
}

export function extension(type: number, data: Buffer): Buffer {
	const head = Buffer.alloc(4);
	head.writeUInt16BE(type, 0);
	head.writeUInt16BE(data.length, 2);
	return Buffer.concat([head, data]);
}

export function serverName(name: string): Buffer {
	const bytes = Buffer.from(name, "latin1");
	const head = Buffer.alloc(5);
	head.writeUInt16BE(bytes.length + 3, 0);
	head.writeUInt16BE(bytes.length, 3);
	return extension(0, Buffer.concat([head, bytes]));
}

export function clientHello({ sni = null, extensions = [], recordBytes = 16_384 }: HelloOptions): Buffer {
	const list = Buffer.concat([...(sni === null ? [] : [serverName(sni)]), ...extensions]);
	const size = Buffer.alloc(2);
	size.writeUInt16BE(list.length);
	const body = Buffer.concat([
		Buffer.from("0303", "hex"),
		Buffer.alloc(32, 7),
		Buffer.from("00", "hex"),
		Buffer.from("00021301", "hex"),
		Buffer.from("0100", "hex"),
		size,
		list,
	]);
	const head = Buffer.alloc(4);
	head.writeUInt32BE(body.length);
	head[0] = 1;
	const message = Buffer.concat([head, body]);
	const records: Buffer[] = [];
	for (let at = 0; at < message.length; at += recordBytes) {
		const part = message.subarray(at, at + recordBytes);
		const record = Buffer.from("1603010000", "hex");
		record.writeUInt16BE(part.length, 3);
		records.push(record, part);
	}
	return Buffer.concat(records);
}
