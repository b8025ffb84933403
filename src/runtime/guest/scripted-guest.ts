import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SupervisorEvent } from "../../host/index.ts";
import type { GuestTimes } from "./limits.ts";
import { FRAME_TYPE, HEADER_BYTES, MAGIC, STREAM } from "./protocol.ts";
import { GuestSession } from "./session.ts";

/** Frames as a guest writes them, wrong ones too. */
export function guestFrame(type: number, stream: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
	const header = Buffer.alloc(HEADER_BYTES);
	header.writeUInt8(type, 0);
	header.writeUInt32LE(stream, 4);
	header.writeUInt32LE(payload.length, 8);
	return Buffer.concat([header, payload]);
}

export function words(...values: number[]): Buffer {
	const bytes = Buffer.alloc(values.length * 4);
	for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4);
	return bytes;
}

export const READY = guestFrame(FRAME_TYPE.ready, 0, Buffer.concat([words(MAGIC, 1), Buffer.from("\0kernel=6.1.0\n")]));
export const HELLO_OK = guestFrame(FRAME_TYPE.helloOk, 0, words(1));
export const STARTED = guestFrame(FRAME_TYPE.pong, 0, Buffer.from("started"));

export function exitFrame(code: number, how: 0 | 1 = 0, flags = 0): Buffer {
	return guestFrame(FRAME_TYPE.exit, 0, Buffer.concat([Buffer.from([how, flags, 0, 0]), words(code)]));
}

export function openFrame(stream: number, port = 443, kind: 1 | 2 = 1): Buffer {
	const payload = Buffer.alloc(40);
	payload.set([kind, 4]);
	payload.writeUInt16LE(40_000, 2);
	payload.writeUInt16LE(port, 4);
	payload.set([10, 0, 2, 2], 8);
	payload.set([198, 18, 0, 1], 24);
	return guestFrame(FRAME_TYPE.open, stream, payload);
}

export function dataFrame(stream: number, bytes: Uint8Array | string): Buffer {
	return guestFrame(FRAME_TYPE.data, stream, Buffer.from(bytes as Uint8Array));
}

/** One frame that the host said. */
export interface Heard {
	readonly type: number;
	readonly stream: number;
	readonly payload: Buffer;
}

/** Short, so that a test need not wait; a test that wants others gives them. */
const TIMES: GuestTimes = { bootMs: 2000, heartbeatMs: 50, stallMs: 400, collectMs: 1000, killMs: 200 };

/** A session of this side with a guest that a test plays. */
export class ScriptedGuest implements AsyncDisposable {
	readonly session: GuestSession;
	readonly heard: Heard[] = [];
	readonly events: SupervisorEvent[] = [];
	/** Connections that reached the gate, with all that came on each. */
	readonly atGate: Socket[] = [];
	readonly socket: Socket;
	readonly #close: () => void;
	#rest = Buffer.alloc(0);
	#listener: () => void = () => {};

	private constructor(session: GuestSession, socket: Socket, events: SupervisorEvent[], close: () => void) {
		this.session = session;
		this.socket = socket;
		this.events = events;
		this.#close = close;
		socket.on("error", () => {});
		socket.on("data", (bytes: Buffer) => this.#hear(bytes));
	}

	static async meet(times: Partial<GuestTimes> = {}, maxConnections = 4): Promise<ScriptedGuest> {
		const folder = mkdtempSync(join(tmpdir(), "vouch-guest-"));
		const paths = { channel: join(folder, "channel"), gate: join(folder, "gate") };
		const channel = createServer();
		const gate = createServer({ allowHalfOpen: true });
		await Promise.all([once(channel.listen(paths.channel), "listening"), once(gate.listen(paths.gate), "listening")]);
		const [[accepted], socket] = await Promise.all([
			once(channel, "connection") as Promise<Socket[]>,
			Promise.resolve(createConnection(paths.channel)),
		]);
		if (accepted === undefined) throw new Error("nobody came");
		const events: SupervisorEvent[] = [];
		const session = new GuestSession(accepted, {
			gate: { connect: () => createConnection({ path: paths.gate, allowHalfOpen: true }), maxConnections },
			times: { ...TIMES, ...times },
			onEvent: (event) => events.push(event),
			entropy: () => new Uint8Array(64).fill(7),
			wallClockNs: () => 1_700_000_000_000_000_000n,
		});
		const guest = new ScriptedGuest(session, socket, events, () => {
			channel.close();
			gate.close();
			rmSync(folder, { recursive: true, force: true });
		});
		gate.on("connection", (connection) => guest.atGate.push(connection));
		return guest;
	}

	/** Up to a workload that runs, with all the credit that a guest gives. */
	static async running(times: Partial<GuestTimes> = {}, maxConnections = 4): Promise<ScriptedGuest> {
		const guest = await ScriptedGuest.meet(times, maxConnections);
		const begun = guest.session.begin(Buffer.from("setup"));
		guest.say(READY);
		await guest.hears(FRAME_TYPE.hello);
		guest.say(HELLO_OK, guestFrame(FRAME_TYPE.credit, STREAM.stdin, words(262_144)));
		await guest.hears(FRAME_TYPE.ping);
		guest.say(STARTED);
		await begun;
		return guest;
	}

	say(...frames: readonly Buffer[]): void {
		if (this.socket.writable) this.socket.write(Buffer.concat(frames));
	}

	/** Answers signs of life from now on, as an honest guest does. */
	lives(): void {
		this.#listener = () => {
			const last = this.heard.at(-1);
			if (last?.type === FRAME_TYPE.ping) this.say(guestFrame(FRAME_TYPE.pong, 0, last.payload));
		};
	}

	/** The first frame of that type on that stream, now or when it comes. */
	async hears(type: number, stream?: number): Promise<Heard> {
		for (let waitedMs = 0; waitedMs < 5000; waitedMs += 5) {
			const found = this.heard.find(
				(frame) => frame.type === type && (stream === undefined || frame.stream === stream),
			);
			if (found !== undefined) return found;
			await new Promise((resolve) => setTimeout(resolve, 5));
		}
		throw new Error(`frame ${type} never came; heard ${this.heard.map((frame) => frame.type).join(" ")}`);
	}

	/** Credit granted on a stream so far. */
	creditOf(stream: number): number {
		return this.heard
			.filter((frame) => frame.type === FRAME_TYPE.credit && frame.stream === stream)
			.reduce((sum, { payload }) => sum + payload.readUInt32LE(0), 0);
	}

	dataOf(stream: number): Buffer {
		return Buffer.concat(
			this.heard
				.filter((frame) => frame.type === FRAME_TYPE.data && frame.stream === stream)
				.map(({ payload }) => payload),
		);
	}

	#hear(bytes: Buffer): void {
		this.#rest = Buffer.concat([this.#rest, bytes]);
		while (this.#rest.length >= HEADER_BYTES) {
			const length = this.#rest.readUInt32LE(8);
			if (this.#rest.length < HEADER_BYTES + length) return;
			const payload = this.#rest.subarray(HEADER_BYTES, HEADER_BYTES + length);
			this.heard.push({ type: this.#rest.readUInt8(0), stream: this.#rest.readUInt32LE(4), payload });
			this.#rest = this.#rest.subarray(HEADER_BYTES + length);
			this.#listener();
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.session.close();
		this.socket.destroy();
		for (const connection of this.atGate) connection.destroy();
		this.#close();
	}
}
