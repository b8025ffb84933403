import type { Answer } from "./connection.ts";
import { lossOf } from "./connection.ts";
import { Setback } from "./persistence.ts";

/** An answer that no honest registry gives: another try is not worth it. */
export class WrongAnswer extends Error {}

/** The whole body of an answer. Throws WrongAnswer past the bound, Setback when it is cut short. */
export async function readBounded({ body, headers }: Answer, maxBytes: number): Promise<Buffer> {
	const announced = Number(headers["content-length"] ?? 0);
	if (announced > maxBytes) {
		body.destroy();
		throw new WrongAnswer(`it announces ${announced} bytes where at most ${maxBytes} are in order`);
	}
	const chunks: Buffer[] = [];
	let size = 0;
	try {
		for await (const chunk of body as AsyncIterable<Buffer>) {
			size += chunk.length;
			if (size > maxBytes) throw new WrongAnswer(`it is larger than ${maxBytes} bytes`);
			chunks.push(chunk);
		}
	} catch (error) {
		if (error instanceof WrongAnswer) throw error;
		throw lossOf(error as Error);
	}
	return Buffer.concat(chunks);
}

/** What an answer's error document says, made fit to be shown: `{"errors": [{"code", "message"}]}` (distribution-spec 1.1). */
export function saidBy(body: Buffer): string {
	try {
		const { errors } = JSON.parse(body.toString("utf8")) as { errors?: { code?: unknown; message?: unknown }[] };
		const words = errors?.map(({ code, message }) => message || code).filter((word) => typeof word === "string");
		return (
			words
				?.join("; ")
				.replace(/[^\x20-\x7e]/g, "?")
				.slice(0, 200) ?? ""
		);
	} catch {
		return "";
	}
}

/** A stream that must not become a trickle: Setback when less than the slowest pace came over a whole stretch. */
export class Pace {
	readonly #slowestBytesPerSecond: number;
	readonly #stretchMs: number;
	#startMs = performance.now();
	#bytes = 0;

	constructor({
		slowestBytesPerSecond,
		stallMs,
	}: { readonly slowestBytesPerSecond: number; readonly stallMs: number }) {
		this.#slowestBytesPerSecond = slowestBytesPerSecond;
		this.#stretchMs = stallMs;
	}

	note(bytes: number): void {
		this.#bytes += bytes;
		const passedMs = performance.now() - this.#startMs;
		if (passedMs < this.#stretchMs) return;
		if ((this.#bytes * 1000) / passedMs < this.#slowestBytesPerSecond)
			throw new Setback("it became too slow to wait for");
		this.#startMs = performance.now();
		this.#bytes = 0;
	}
}
