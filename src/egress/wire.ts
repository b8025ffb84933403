import { connect, type Socket } from "node:net";
import { lendReadBuffer, returnReadBuffer } from "./read-buffers.ts";

export type Arrival = "bytes" | "end" | "late";

/** Held bytes past which a wire stops reading until someone takes them. */
const HOLD_BYTES = 65_536;
/** Queued bytes past which a relay stops reading the other side. */
const QUEUE_BYTES = 262_144;
/** Smaller chunks cost the collector little, and may share their memory with others. */
const WORTH_FREEING_BYTES = 32_768;
const EMPTY: Buffer = Buffer.alloc(0);

/** Whose a chunk is: `owned` ones are ours, `fresh` ones have memory to themselves besides, `borrowed` ones are overwritten by the next read. */
type Ownership = "owned" | "fresh" | "borrowed";

/**
 * One side of a connection: either held (bytes wait until they are looked at and taken) or relayed (they go straight
 * to another wire). Counts what passes. Reading stops when nobody takes the bytes: memory stays bounded.
 */
export class Wire {
	readonly socket: Socket;
	/** Payload bytes that arrived, and that were handed to the socket. */
	bytesIn = 0;
	bytesOut = 0;
	readonly closed: Promise<void>;
	#held: Buffer = EMPTY;
	#ended = false;
	#closed = false;
	#target: Wire | null = null;
	#discarding = false;
	#paused = false;
	#wake: (() => void) | null = null;
	#relayEnded: (() => void) | null = null;
	/** Of a dialled wire, until it is closed and the kernel has every byte of it. */
	#readBuffer: Buffer | null = null;
	#writesPending = 0;

	private constructor(makeSocket: (wire: Wire) => Socket) {
		this.socket = makeSocket(this);
		this.socket.setNoDelay(true);
		this.socket.on("end", () => this.#end());
		this.socket.on("error", () => undefined);
		this.closed = new Promise((resolve) => {
			this.socket.on("close", () => {
				this.#closed = true;
				this.#end();
				this.#giveBackBuffer();
				resolve();
			});
		});
	}

	static accepted(socket: Socket): Wire {
		return new Wire((wire) => socket.on("data", (chunk: Buffer) => wire.#arrive(chunk, "fresh")));
	}

	/** Starts connecting to an address. The reused read buffer is what makes relaying fast. */
	static dial(address: string, port: number): Wire {
		const buffer = lendReadBuffer();
		const dialled = new Wire((wire) =>
			connect({
				host: address,
				port,
				allowHalfOpen: true,
				autoSelectFamily: false,
				onread: {
					buffer,
					callback: (size) => {
						wire.#arrive(buffer.subarray(0, size), "borrowed");
						return !wire.#paused;
					},
				},
			}),
		);
		dialled.#readBuffer = buffer;
		return dialled;
	}

	/** Bytes that arrived and were not taken. Valid until the next `take`, `more` or relay. */
	get held(): Buffer {
		return this.#held;
	}

	get ended(): boolean {
		return this.#ended && this.#held.length === 0;
	}

	get isClosed(): boolean {
		return this.#closed;
	}

	take(size: number): Buffer {
		const taken = this.#held.subarray(0, size);
		this.#held = size >= this.#held.length ? EMPTY : this.#held.subarray(size);
		if (this.#held.length < HOLD_BYTES) this.#resume();
		return taken;
	}

	/** Waits for bytes beyond those held. `late` when the time is over first. */
	async more(timeoutMs: number): Promise<Arrival> {
		if (this.#ended) return "end";
		const before = this.bytesIn;
		if (timeoutMs <= 0) return "late";
		// A full hold that is still too little can't happen: every bound on what is looked at lies below HOLD_BYTES.
		const late = await new Promise<"late" | null>((resolve) => {
			const timer = setTimeout(() => {
				this.#wake = null;
				resolve("late");
			}, timeoutMs);
			this.#wake = () => {
				clearTimeout(timer);
				this.#wake = null;
				resolve(null);
			};
		});
		return late ?? (this.bytesIn > before ? "bytes" : "end");
	}

	/** Writes; the promise is there only when the other side is slow, so that quick paths don't wait. */
	send(bytes: Buffer | string): Promise<void> | undefined {
		if (this.#closed || this.socket.writableEnded) return undefined;
		this.bytesOut += typeof bytes === "string" ? Buffer.byteLength(bytes, "latin1") : bytes.length;
		const written = typeof bytes === "string" ? this.socket.write(bytes, "latin1") : this.socket.write(bytes);
		return written || this.socket.writableLength < QUEUE_BYTES ? undefined : this.#drained();
	}

	async #drained(): Promise<void> {
		await Promise.race([new Promise<void>((resolve) => this.socket.once("drain", () => resolve())), this.closed]);
	}

	/** Sends everything that is held and that arrives to the target, then its half-close. Settles at that end. */
	relayTo(target: Wire): Promise<void> {
		this.#target = target;
		const held = this.take(this.#held.length);
		if (held.length > 0) this.#forward(target, held, "owned");
		return new Promise((resolve) => {
			this.#relayEnded = resolve;
			if (this.#ended) this.#finishRelay();
			else this.#resume();
		});
	}

	/** Back to holding. Bytes that were already relayed are gone. */
	stopRelay(): void {
		this.#target = null;
		this.#relayEnded = null;
	}

	/** Everything that arrives from now on is counted and dropped. */
	discard(): void {
		this.#target = null;
		this.#discarding = true;
		this.#held = EMPTY;
		this.#resume();
	}

	/** Says last words, lets them arrive, then cuts the connection; what comes meanwhile is dropped. */
	hangUp(lastWords: Buffer | string, lingerMs: number): void {
		this.discard();
		if (this.#closed) return;
		if (lastWords.length > 0) this.send(lastWords);
		this.socket.end();
		if (this.#ended) return;
		// A slow reader gets thirty times the linger for what is queued; one that has it all gets it once.
		let timer = setTimeout(() => this.socket.destroy(), lingerMs * 30);
		const startLinger = (): void => {
			clearTimeout(timer);
			timer = setTimeout(() => this.socket.destroy(), lingerMs);
		};
		if (this.socket.writableFinished) startLinger();
		else this.socket.once("finish", startLinger);
		this.socket.once("close", () => clearTimeout(timer));
	}

	end(): void {
		if (!this.#closed) this.socket.end();
	}

	destroy(): void {
		this.socket.destroy();
	}

	#arrive(chunk: Buffer, ownership: "fresh" | "borrowed"): void {
		this.bytesIn += chunk.length;
		if (this.#discarding) return;
		if (this.#target !== null) {
			this.#forward(this.#target, chunk, ownership);
			return;
		}
		if (this.#held.length > 0) this.#held = Buffer.concat([this.#held, chunk]);
		else this.#held = ownership === "fresh" ? chunk : Buffer.from(chunk);
		if (this.#held.length >= HOLD_BYTES) this.#pause();
		this.#wake?.();
	}

	#forward(target: Wire, chunk: Buffer, ownership: Ownership): void {
		if (target.#closed || target.socket.writableEnded) return;
		target.bytesOut += chunk.length;
		// A borrowed chunk must be in the kernel before the next read overwrites it; owned ones may queue a little.
		const allowed = ownership === "borrowed" ? 0 : QUEUE_BYTES;
		this.#writesPending += 1;
		target.socket.write(chunk, () => {
			this.#writesPending -= 1;
			if (ownership === "fresh") freeNow(chunk);
			if (this.#closed) this.#giveBackBuffer();
			if (this.#paused && target.socket.writableLength <= allowed) this.#resume();
		});
		if (target.socket.writableLength > allowed) this.#pause();
	}

	#giveBackBuffer(): void {
		if (this.#readBuffer === null || this.#writesPending > 0) return;
		returnReadBuffer(this.#readBuffer);
		this.#readBuffer = null;
	}

	#end(): void {
		if (!this.#ended) {
			this.#ended = true;
			this.#wake?.();
			if (this.#target !== null) this.#finishRelay();
		}
	}

	#finishRelay(): void {
		const settle = this.#relayEnded;
		this.#relayEnded = null;
		this.#target?.end();
		settle?.();
	}

	#pause(): void {
		if (this.#paused) return;
		this.#paused = true;
		this.socket.pause();
	}

	#resume(): void {
		if (!this.#paused || this.#closed) return;
		this.#paused = false;
		this.socket.resume();
	}
}

/**
 * Gives back the memory of a chunk that nobody will look at again: to be called when the kernel has its bytes, not before. An
 * accepted socket reads each 64 KiB into memory of its own; left to the garbage collector, an upload spent most of its
 * time on fetching ever new pages from the kernel.
 */
function freeNow(chunk: Buffer): void {
	const { buffer } = chunk;
	if (chunk.length < WORTH_FREEING_BYTES || chunk.length !== buffer.byteLength) return;
	if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
