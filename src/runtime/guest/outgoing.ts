import type { Duplex } from "node:stream";
import { ProtocolViolation } from "./guest-frame.ts";
import { dataHeader, end } from "./host-frame.ts";

/** What one stream may hold: no guest has a reason to grant more. */
const MOST_CREDIT_BYTES = 2 ** 30;
/** One stream's turn before the others get theirs. */
const TURN_BYTES = 32_768;

/** The sending half of one stream: bytes go out as the guest grants credit and the channel takes them. */
export class OutgoingStream {
	readonly id: number;
	readonly #line: OutgoingLine;
	#credit: number;
	#held: Buffer[] = [];
	#ending = false;
	#over = false;
	/** Called when all that was given has gone out. */
	onSent: () => void = () => {};

	constructor(id: number, line: OutgoingLine, credit: number) {
		this.id = id;
		this.#line = line;
		this.#credit = credit;
	}

	get isOver(): boolean {
		return this.#over;
	}

	/** Bytes that have not gone out yet. */
	get heldBytes(): number {
		return this.#held.reduce((sum, { length }) => sum + length, 0);
	}

	send(bytes: Buffer): void {
		if (this.#over || this.#ending) return;
		this.#held.push(bytes);
		this.#line.wake(this);
	}

	/** Half close, after what was given. */
	finish(): void {
		if (this.#over || this.#ending) return;
		this.#ending = true;
		this.#line.wake(this);
	}

	/** Nothing more goes out; what was held is forgotten. */
	cancel(): void {
		this.#over = true;
		this.#held = [];
		this.onSent();
	}

	grant(bytes: number): void {
		this.#credit += bytes;
		if (bytes === 0 || this.#credit > MOST_CREDIT_BYTES) {
			throw new ProtocolViolation(`credit of stream ${this.id} was raised to ${this.#credit} bytes`);
		}
		this.#line.wake(this);
	}

	/** Whether something can go out now. */
	get isReady(): boolean {
		if (this.#over) return false;
		return this.#held.length > 0 ? this.#credit > 0 : this.#ending;
	}

	/** One turn: the bytes of one frame, or null when there is nothing to send. */
	turn(): readonly Buffer[] | null {
		const first = this.#held[0];
		if (first === undefined) {
			if (!this.#ending || this.#over) return null;
			this.#over = true;
			return [end(this.id)];
		}
		const part = first.subarray(0, Math.min(TURN_BYTES, this.#credit));
		this.#credit -= part.length;
		if (part.length === first.length) this.#held.shift();
		else this.#held[0] = first.subarray(part.length);
		return [dataHeader(this.id, part.length), part];
	}

	get isIdle(): boolean {
		return this.#held.length === 0;
	}
}

/** Bytes that may wait in the socket before streams stop adding to it. */
const MOST_WAITING_BYTES = 131_072;

/** The channel's sending side: frames of no stream go first, streams take turns while the socket takes bytes. */
export class OutgoingLine {
	readonly #socket: Duplex;
	readonly #waiting = new Set<OutgoingStream>();
	/** Called when the socket has taken everything. */
	onDrained: () => void = () => {};

	constructor(socket: Duplex) {
		this.#socket = socket;
		socket.on("drain", () => {
			this.#pump();
			if (!this.isFull) this.onDrained();
		});
	}

	get isFull(): boolean {
		return this.#socket.writableLength >= MOST_WAITING_BYTES;
	}

	say(bytes: Buffer): void {
		if (this.#socket.writable) this.#socket.write(bytes);
	}

	wake(stream: OutgoingStream): void {
		if (!stream.isReady) return;
		this.#waiting.add(stream);
		this.#pump();
	}

	#pump(): void {
		for (const stream of this.#waiting) {
			if (this.isFull || !this.#socket.writable) return;
			// Taken off and put back last: a set keeps the order in which things came.
			this.#waiting.delete(stream);
			const said = stream.isReady ? stream.turn() : null;
			if (said === null) continue;
			this.#socket.cork();
			for (const bytes of said) this.#socket.write(bytes);
			this.#socket.uncork();
			if (stream.isReady) this.#waiting.add(stream);
			if (stream.isIdle) stream.onSent();
		}
	}
}
