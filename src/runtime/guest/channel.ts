import type { Duplex } from "node:stream";
import { Writable } from "node:stream";
import type { SupervisorEvent } from "../../host/index.ts";
import { Connections, type GateDoor } from "./connections.ts";
import { FrameBudget } from "./frame-budget.ts";
import { FrameReader, type GuestFrame, ProtocolViolation } from "./guest-frame.ts";
import { credit } from "./host-frame.ts";
import { IncomingStream } from "./incoming.ts";
import { FRAMES_PER_SECOND, MOST_UNREAD_BYTES, OUTPUT_WINDOW_BYTES } from "./limits.ts";
import { OutgoingLine, OutgoingStream } from "./outgoing.ts";
import { SETUP_CREDIT_BYTES, STREAM } from "./protocol.ts";

/** Frames that are about the run itself rather than one of its streams. */
export type ControlFrame = Extract<
	GuestFrame,
	{ readonly kind: "ready" | "hello-ok" | "exit" | "failed" | "ping" | "pong" | "refused-datagram" }
>;

type StreamFrame = Extract<GuestFrame, { readonly kind: "data" | "credit" | "end" | "reset" }>;

export interface ChannelOptions {
	readonly gate: GateDoor;
	readonly onControl: (frame: ControlFrame) => void;
	readonly onEvent: (event: SupervisorEvent) => void;
	/** The guest broke the protocol, or the channel is gone; called once, and nothing is heard after it. */
	readonly onEnd: (end: ChannelEnd) => void;
}

export type ChannelEnd = { readonly kind: "violation"; readonly message: string } | { readonly kind: "closed" };

/** One guest's frames, split into streams with credit both ways. It knows no order of events: `session.ts` does. */
export class GuestChannel {
	readonly stdin: Writable;
	readonly setup: OutgoingStream;
	readonly stdout: IncomingStream;
	readonly stderr: IncomingStream;
	readonly changes: IncomingStream;
	readonly connections: Connections;
	/** When something last came, by the monotonic clock. */
	heardMs = performance.now();
	readonly #socket: Duplex;
	readonly #options: ChannelOptions;
	readonly #line: OutgoingLine;
	readonly #reader = new FrameReader();
	readonly #budget = new FrameBudget(FRAMES_PER_SECOND, () => performance.now());
	readonly #input: OutgoingStream;
	readonly #outputs: ReadonlyMap<number, IncomingStream>;
	#waiting: NodeJS.Timeout | null = null;
	#over = false;

	constructor(socket: Duplex, options: ChannelOptions) {
		this.#socket = socket;
		this.#options = options;
		this.#line = new OutgoingLine(socket);
		const line = this.#line;
		this.connections = new Connections({ line, gate: options.gate, onEvent: options.onEvent });
		const output = (id: number) =>
			new IncomingStream(id, OUTPUT_WINDOW_BYTES, (bytes) => this.#line.say(credit(id, bytes)));
		this.stdout = output(STREAM.stdout);
		this.stderr = output(STREAM.stderr);
		this.changes = output(STREAM.changes);
		this.#outputs = new Map([
			[STREAM.stdout, this.stdout],
			[STREAM.stderr, this.stderr],
			[STREAM.changes, this.changes],
		]);
		this.setup = new OutgoingStream(STREAM.setup, line, SETUP_CREDIT_BYTES);
		this.#input = new OutgoingStream(STREAM.stdin, line, 0);
		this.stdin = writableOf(this.#input);
		line.onDrained = () => this.#readOn();
		socket.on("data", (bytes: Buffer) => this.#hear(bytes));
		socket.on("error", () => {}); // seen as its close
		socket.on("close", () => this.#end({ kind: "closed" }));
		// A guest's port has no half closes: an end is the end.
		socket.on("end", () => this.#end({ kind: "closed" }));
	}

	say(bytes: Buffer): void {
		if (!this.#over) this.#line.say(bytes);
	}

	/** Whether the guest is kept waiting by this side: then its silence says nothing. */
	get isHeldBack(): boolean {
		return this.#waiting !== null || this.#socket.isPaused();
	}

	/** Cuts everything. Connections are told of; readers see their streams end. */
	close(): void {
		this.#over = true;
		if (this.#waiting !== null) clearTimeout(this.#waiting);
		this.#socket.destroy();
		this.#input.cancel();
		this.stdin.destroy();
		this.setup.cancel();
		for (const stream of this.#outputs.values()) if (!stream.isOver) stream.finish();
		this.connections.close();
	}

	#hear(bytes: Buffer): void {
		if (this.#over) return;
		this.heardMs = performance.now();
		try {
			for (const frame of this.#reader.frames(bytes)) {
				if (frame.kind !== "data") this.#budget.spend();
				this.#dispatch(frame);
				if (this.#over) return;
			}
		} catch (error) {
			if (!(error instanceof ProtocolViolation)) throw error;
			this.#end({ kind: "violation", message: error.message });
			return;
		}
		this.#pace();
	}

	/** Reads on later when the guest sends too much that means nothing, or does not read what it is sent. */
	#pace(): void {
		const waitMs = this.#budget.waitMs;
		if (waitMs > 0 && this.#waiting === null) {
			this.#waiting = setTimeout(() => {
				this.#waiting = null;
				this.#readOn();
			}, waitMs);
		}
		if (this.#waiting !== null || this.#socket.writableLength > MOST_UNREAD_BYTES) this.#socket.pause();
	}

	#readOn(): void {
		if (this.#over || this.#waiting !== null || this.#socket.writableLength > MOST_UNREAD_BYTES) return;
		this.#socket.resume();
	}

	#dispatch(frame: GuestFrame): void {
		switch (frame.kind) {
			case "data":
			case "credit":
			case "end":
			case "reset":
				if (frame.stream >= STREAM.firstConnection) this.#ofConnection(frame);
				else this.#ofStandardStream(frame);
				break;
			case "open":
				this.connections.open(frame.stream, frame.connection);
				break;
			case "ready":
			case "hello-ok":
			case "exit":
			case "failed":
			case "ping":
			case "pong":
			case "refused-datagram":
				this.#options.onControl(frame);
		}
	}

	#ofConnection(frame: StreamFrame): void {
		switch (frame.kind) {
			case "data":
				this.connections.data(frame.stream, frame.bytes);
				break;
			case "credit":
				this.connections.grant(frame.stream, frame.bytes);
				break;
			case "end":
				this.connections.end(frame.stream);
				break;
			case "reset":
				this.connections.reset(frame.stream);
		}
	}

	#ofStandardStream(frame: StreamFrame): void {
		switch (frame.kind) {
			case "data":
				this.#output(frame.stream).receive(frame.bytes);
				break;
			case "credit":
				this.#inputOf(frame.stream).grant(frame.bytes);
				break;
			case "end":
				this.#output(frame.stream).finish();
				break;
			case "reset":
				this.#reset(frame.stream);
		}
	}

	#output(stream: number): IncomingStream {
		const found = this.#outputs.get(stream);
		if (found === undefined) throw new ProtocolViolation(`a guest sends nothing on stream ${stream}`);
		return found;
	}

	#inputOf(stream: number): OutgoingStream {
		if (stream === STREAM.stdin) return this.#input;
		if (stream === STREAM.setup) return this.setup;
		throw new ProtocolViolation(`a guest grants no credit on stream ${stream}`);
	}

	#reset(stream: number): void {
		if (stream === STREAM.stdin) {
			// A program need not read its input; whoever writes it sees the stream close.
			this.#input.cancel();
			this.stdin.destroy();
			return;
		}
		this.#output(stream).finish();
	}

	#end(end: ChannelEnd): void {
		if (this.#over) return;
		this.close();
		this.#options.onEnd(end);
	}
}

function writableOf(stream: OutgoingStream): Writable {
	return new Writable({
		highWaterMark: 65_536,
		write: (chunk: Buffer, _encoding, done) => {
			if (stream.isOver) {
				done();
				return;
			}
			stream.onSent = () => {
				stream.onSent = () => {};
				done();
			};
			stream.send(chunk);
		},
		final: (done) => {
			stream.finish();
			done();
		},
	});
}
