import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

/** The host's end of the guest protocol, as small as a test can have it: it checks nothing and sends what it is told to. */
export const TYPE = {
	ready: 1,
	hello: 2,
	helloOk: 3,
	data: 4,
	credit: 5,
	end: 6,
	reset: 7,
	open: 8,
	signal: 9,
	windowSize: 10,
	exit: 11,
	failed: 12,
	ping: 13,
	pong: 14,
	refusedDatagram: 15,
	powerOff: 16,
	collect: 17,
} as const;
export const STREAM = { control: 0, stdin: 1, stdout: 2, stderr: 3, setup: 4, changes: 5 } as const;
const MAGIC = 0x48435556;
const HEADER_BYTES = 12;

export interface Frame {
	readonly type: number;
	readonly stream: number;
	readonly payload: Buffer;
}

export interface Exit {
	readonly how: "exited" | "signaled";
	readonly code: number;
	readonly memoryLimitMet: number;
	readonly text: string;
}

export function frame(type: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
	const header = Buffer.alloc(HEADER_BYTES);
	header.writeUInt8(type, 0);
	header.writeUInt32LE(stream, 4);
	header.writeUInt32LE(payload.length, 8);
	return Buffer.concat([header, payload]);
}

export function word(...values: readonly number[]): Buffer {
	const bytes = Buffer.alloc(4 * values.length);
	for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, 4 * index);
	return bytes;
}

export function hello(generation = 1, wallClockNs = BigInt(Date.now()) * 1_000_000n): Buffer {
	const clock = Buffer.alloc(8);
	clock.writeBigUInt64LE(wallClockNs);
	return frame(TYPE.hello, STREAM.control, Buffer.concat([word(MAGIC, generation), clock, randomBytes(64)]));
}

export class Peer {
	readonly frames: Frame[] = [];
	readonly output = new Map<number, Buffer[]>();
	/** Credit that the guest gave, by stream. */
	readonly credit = new Map<number, number>();
	readonly ended = new Set<number>();
	readonly resets = new Map<number, number>();
	/** Streams whose bytes the peer takes without granting more. */
	readonly held = new Set<number>();
	/** Streams whose bytes are counted and thrown away. */
	readonly discarded = new Set<number>();
	onOpen: (id: number, open: Buffer) => void = () => {};
	receivedBytes = 0;
	readonly #socket: Socket;
	#rest = Buffer.alloc(0);
	#waiting: (() => void)[] = [];
	#closed = false;

	constructor(socket: Socket) {
		this.#socket = socket;
		socket.on("data", (bytes) => this.#take(bytes));
		socket.on("error", () => {});
		socket.on("close", () => {
			this.#closed = true;
			this.#wake();
		});
	}

	static async connect(path: string): Promise<Peer> {
		const socket = connect(path);
		await new Promise<void>((resolve, reject) => {
			socket.once("connect", resolve);
			socket.once("error", reject);
		});
		return new Peer(socket);
	}

	raw(bytes: Uint8Array): void {
		this.#socket.write(bytes);
	}

	send(type: number, stream: number, payload?: Uint8Array): void {
		this.#socket.write(frame(type, stream, payload));
	}

	/** Within the credit that was given; waits for more. */
	async sendData(stream: number, bytes: Uint8Array): Promise<void> {
		for (let at = 0; at < bytes.length; ) {
			const may = () => (this.credit.get(stream) ?? 0) > 0 || this.resets.has(stream);
			await this.until(may, `credit of stream ${stream}`);
			if (this.resets.has(stream)) return;
			const size = Math.min(this.credit.get(stream) ?? 0, 65536, bytes.length - at);
			this.credit.set(stream, (this.credit.get(stream) ?? 0) - size);
			if (!this.#socket.write(frame(TYPE.data, stream, bytes.subarray(at, at + size))))
				await new Promise<void>((resolve) => this.#socket.once("drain", resolve));
			at += size;
		}
	}

	close(): void {
		this.#socket.destroy();
	}

	text(stream: number): string {
		return this.bytes(stream).toString("latin1");
	}

	bytes(stream: number): Buffer {
		return Buffer.concat(this.output.get(stream) ?? []);
	}

	find(type: number): Frame | undefined {
		return this.frames.find((one) => one.type === type);
	}

	async frame(type: number, timeoutMs?: number): Promise<Frame> {
		await this.until(() => this.find(type) !== undefined, `a frame of type ${type}`, timeoutMs);
		return this.find(type) ?? { type, stream: 0, payload: Buffer.alloc(0) };
	}

	async until(holds: () => boolean, what: string, timeoutMs = 120_000): Promise<void> {
		const end = performance.now() + timeoutMs;
		while (!holds()) {
			const leftMs = end - performance.now();
			const failed = this.find(TYPE.failed);
			if (leftMs <= 0 || this.#closed) {
				const said = failed === undefined ? "" : `; the guest said: ${failed.payload.subarray(4)}`;
				throw new Error(`${what} did not come${this.#closed ? ": the channel was closed" : ""}${said}`);
			}
			await new Promise<void>((resolve) => {
				const timer = setTimeout(resolve, leftMs);
				this.#waiting.push(() => {
					clearTimeout(timer);
					resolve();
				});
			});
		}
	}

	#wake(): void {
		for (const resolve of this.#waiting.splice(0)) resolve();
	}

	#take(bytes: Buffer): void {
		this.receivedBytes += bytes.length;
		let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
		while (rest.length >= HEADER_BYTES) {
			const size = HEADER_BYTES + rest.readUInt32LE(8);
			if (rest.length < size) break;
			this.#hear({
				type: rest.readUInt8(0),
				stream: rest.readUInt32LE(4),
				payload: rest.subarray(HEADER_BYTES, size),
			});
			rest = rest.subarray(size);
		}
		this.#rest = Buffer.from(rest);
		this.#wake();
	}

	#hear(one: Frame): void {
		const { type, stream, payload } = one;
		if (type === TYPE.data) {
			if (!this.discarded.has(stream)) {
				const chunks = this.output.get(stream) ?? [];
				chunks.push(Buffer.from(payload));
				this.output.set(stream, chunks);
			}
			if (!this.held.has(stream)) this.send(TYPE.credit, stream, word(payload.length));
		} else if (type === TYPE.credit) {
			this.credit.set(stream, (this.credit.get(stream) ?? 0) + payload.readUInt32LE(0));
		} else if (type === TYPE.end) this.ended.add(stream);
		else if (type === TYPE.reset) this.resets.set(stream, payload.readUInt32LE(0));
		else {
			this.frames.push({ type, stream, payload: Buffer.from(payload) });
			if (type === TYPE.open) this.onOpen(stream, Buffer.from(payload));
		}
	}

	/** READY, HELLO and HELLO-OK, then credit for what the workload writes. */
	async greet(timeoutMs?: number): Promise<void> {
		await this.frame(TYPE.ready, timeoutMs);
		this.raw(hello());
		await this.frame(TYPE.helloOk);
		for (const stream of [STREAM.stdout, STREAM.stderr, STREAM.changes])
			if (!this.held.has(stream)) this.send(TYPE.credit, stream, word(1 << 20));
	}

	async exit(timeoutMs?: number): Promise<Exit> {
		const { payload } = await this.frame(TYPE.exit, timeoutMs);
		return {
			how: payload.readUInt8(0) === 0 ? "exited" : "signaled",
			memoryLimitMet: payload.readUInt8(1),
			code: payload.readUInt32LE(4),
			text: payload.toString("latin1", 8),
		};
	}
}
