import { isRetryable, type Waiting } from "./back-off.ts";
import type { Reply } from "./transport.ts";

type Stream = "stdout" | "stderr";

/** Output is sent when so much is there (conduits section 12.2, 5). */
const CHUNK_BYTES = 64 * 1024;
/** What comes first is seen at once; then chunks keep a distance, ever more of it: existing control planes count requests. */
const TOGETHER_MS = 3;
const DISTANCE_MS = 250;
const EARLY_CHUNKS = 20;
const LATER_DISTANCE_MS = 1_000;
const RETRY_MS = 1_000;

export interface LogChunk {
	readonly stream: Stream;
	readonly seq: number;
	readonly bytes: string;
	readonly truncated: boolean;
}

export interface UploaderParts {
	send(chunk: LogChunk): Promise<Reply>;
	readonly waiting: Waiting;
	/** Of both streams together; what is beyond is cut and said to be. */
	readonly maxBytes: number;
	/** Aborted when nobody wants the output any more. */
	readonly stop: AbortSignal;
}

/**
 * Output of one directive on its way to the control plane: in order, each chunk until it was taken, so that a control plane that is
 * away for a while loses nothing. Who writes waits while much is under way: that is the back-pressure.
 */
export class LogUploader {
	readonly #parts: UploaderParts;
	readonly #streams: Readonly<Record<Stream, StreamState>> = { stdout: newStream(), stderr: newStream() };
	#sentBytes = 0;

	constructor(parts: UploaderParts) {
		this.#parts = parts;
	}

	/** Resolves when more may come. */
	async write(stream: Stream, bytes: Uint8Array): Promise<void> {
		const state = this.#streams[stream];
		const kept = bytes.subarray(0, Math.max(0, this.#parts.maxBytes - this.#sentBytes));
		this.#sentBytes += kept.length;
		if (kept.length > 0) state.waiting.push(Buffer.from(kept));
		state.waitingBytes += kept.length;
		if (kept.length < bytes.length && !state.isTruncated) {
			state.isTruncated = true;
			state.mustSayTruncated = true;
		}
		if (state.waitingBytes >= CHUNK_BYTES) await this.#flush(stream);
		else if (state.timer === undefined && (kept.length > 0 || state.mustSayTruncated))
			state.timer = setTimeout(() => void this.#flush(stream), waitOf(state));
	}

	/** Streams of which not all was kept. */
	get cut(): readonly Stream[] {
		return (["stdout", "stderr"] as const).filter((stream) => this.#streams[stream].isTruncated);
	}

	/** Sends what is left. Resolves when all of it was taken, or nobody wants it. */
	async end(): Promise<void> {
		await Promise.all([this.#flush("stdout"), this.#flush("stderr")]);
	}

	#flush(stream: Stream): Promise<void> {
		const state = this.#streams[stream];
		clearTimeout(state.timer);
		state.timer = undefined;
		state.flushedMs = performance.now();
		const bytes = Buffer.concat(state.waiting);
		state.waiting = [];
		state.waitingBytes = 0;
		const end = state.mustSayTruncated ? "cut" : "whole";
		state.mustSayTruncated = false;
		if (bytes.length > 0 || end === "cut") state.turn = state.turn.then(() => this.#sendAll(stream, bytes, end));
		return state.turn;
	}

	async #sendAll(stream: Stream, bytes: Buffer, end: "cut" | "whole"): Promise<void> {
		const state = this.#streams[stream];
		let offset = 0;
		do {
			const part = bytes.subarray(offset, offset + CHUNK_BYTES);
			offset += part.length;
			const truncated = end === "cut" && offset >= bytes.length;
			await this.#sendOne({ stream, seq: state.nextSeq++, bytes: part.toString("base64"), truncated });
		} while (offset < bytes.length);
	}

	/** Until it is taken: the same sequence number is stored once, however often it comes. */
	async #sendOne(chunk: LogChunk): Promise<void> {
		const { send, waiting, stop } = this.#parts;
		while (!stop.aborted) {
			const reply = await send(chunk).catch(() => undefined);
			if (reply !== undefined && !isRetryable(reply.status)) return;
			await waiting.pause((reply?.retryAfterSeconds ?? 0) * 1000 || RETRY_MS, stop);
		}
	}
}

interface StreamState {
	waiting: Buffer[];
	waitingBytes: number;
	nextSeq: number;
	flushedMs: number;
	isTruncated: boolean;
	mustSayTruncated: boolean;
	timer: NodeJS.Timeout | undefined;
	turn: Promise<void>;
}

function waitOf({ flushedMs, nextSeq }: StreamState): number {
	const distanceMs = nextSeq < EARLY_CHUNKS ? DISTANCE_MS : LATER_DISTANCE_MS;
	return Math.max(TOGETHER_MS, flushedMs + distanceMs - performance.now());
}

function newStream(): StreamState {
	return {
		waiting: [],
		waitingBytes: 0,
		nextSeq: 0,
		flushedMs: Number.NEGATIVE_INFINITY,
		isTruncated: false,
		mustSayTruncated: false,
		timer: undefined,
		turn: Promise.resolve(),
	};
}
