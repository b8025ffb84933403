import { Readable } from "node:stream";
import { ByteQueue } from "./byte-queue.ts";
import { ProtocolViolation } from "./guest-frame.ts";

/** Bytes handed to a reader at once. */
const PART_BYTES = 65_536;

/**
 * The receiving half of one stream: the guest may send what it was granted, and is granted as much again as its reader has
 * taken. So a reader that is slow makes the guest wait, and a stream never holds more than `windowBytes`.
 */
export class IncomingStream extends Readable {
	readonly #id: number;
	readonly #windowBytes: number;
	readonly #grant: (bytes: number) => void;
	readonly #queue = new ByteQueue();
	/** What the guest may still send. */
	#granted = 0;
	#wanted = false;
	#over = false;
	receivedBytes = 0;

	constructor(id: number, windowBytes: number, grant: (bytes: number) => void) {
		super({ highWaterMark: PART_BYTES });
		this.#id = id;
		this.#windowBytes = windowBytes;
		this.#grant = grant;
	}

	/** Grants the first window. */
	begin(): void {
		this.#replenish();
	}

	receive(bytes: Buffer): void {
		if (this.#over) throw new ProtocolViolation(`data came on stream ${this.#id} after its end`);
		if (bytes.length > this.#granted) throw new ProtocolViolation(`stream ${this.#id} overran its credit`);
		this.#granted -= bytes.length;
		this.receivedBytes += bytes.length;
		// Whoever went away reads no more: the bytes are counted and forgotten.
		if (this.#wanted && this.#queue.length === 0) {
			this.#wanted = this.push(bytes);
		} else if (!this.destroyed) {
			this.#queue.push(bytes);
		}
		this.#serve();
	}

	/** No more will come. */
	finish(): void {
		this.#over = true;
		this.#serve();
	}

	get isOver(): boolean {
		return this.#over;
	}

	override _read(): void {
		this.#wanted = true;
		this.#serve();
	}

	override _destroy(error: Error | null, done: (error: Error | null) => void): void {
		this.#queue.clear();
		done(error);
		if (!this.#over) this.#replenish();
	}

	#serve(): void {
		while (this.#wanted) {
			const part = this.#queue.shift(PART_BYTES);
			if (part === null) break;
			this.#wanted = this.push(part);
		}
		if (!this.#over) this.#replenish();
		else if (this.#wanted && this.#queue.length === 0) {
			this.#wanted = false;
			this.push(null);
		}
	}

	#replenish(): void {
		const room = this.#windowBytes - this.#granted - this.#queue.length;
		if (room < this.#windowBytes / 4) return;
		this.#granted += room;
		this.#grant(room);
	}
}
