import type { Readable } from "node:stream";

const KEPT_BYTES = 8192;

/** Reads a stream away and keeps its end, so that whoever writes it never waits and nothing piles up. */
export class OutputTail {
	#text = "";
	readonly #waiting = new Set<() => void>();

	constructor(stream: Readable) {
		stream.on("data", (part: Buffer) => {
			this.#text = (this.#text + part.toString("latin1")).slice(-KEPT_BYTES);
			for (const look of this.#waiting) look();
		});
		stream.on("error", () => {});
	}

	/** Its last line without control characters, for a sentence. */
	get lastLine(): string {
		const lines = this.#text.split(/[\r\n]+/).map((line) => line.replace(/[^\x20-\x7e]+/g, "").trim());
		return (
			lines
				.filter((line) => line !== "")
				.at(-1)
				?.slice(0, 300) ?? ""
		);
	}

	/** Resolves when the text was said. */
	heard(text: string): Promise<void> {
		return new Promise((resolve) => {
			const look = (): void => {
				if (!this.#text.includes(text)) return;
				this.#waiting.delete(look);
				resolve();
			};
			this.#waiting.add(look);
			look();
		});
	}
}
