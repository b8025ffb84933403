import { formatBytes } from "../../core/index.ts";
import { paint, printable } from "../screen.ts";

/** What a long piece of work tells of itself. */
export interface ProgressEvent {
	/** What is being done: "packing the root file system". */
	readonly step: string;
	readonly doneBytes?: number;
	readonly totalBytes?: number;
	/** What another program said. */
	readonly line?: string;
}

/** `terminal` is for what is mostly over in a second: nobody needs a line of it in a log. */
export type Volume = "normal" | "terminal" | "quiet";

const REDRAW_MS = 100;
const NOTE_MS = 10_000;

/**
 * Progress on stderr. At a terminal one line that is written over; elsewhere a line for each step, and one now and then while
 * it lasts. Silent when quiet.
 */
export class Progress {
	readonly #stream: NodeJS.WriteStream;
	readonly #form: "line" | "plain" | "silent";
	#step = "";
	#beganMs = 0;
	#shownMs = 0;
	#drawn = "";

	constructor(volume: Volume, stream: NodeJS.WriteStream = process.stderr) {
		this.#stream = stream;
		const canDraw = stream.isTTY === true && process.env.TERM !== "dumb";
		this.#form = volume === "quiet" ? "silent" : canDraw ? "line" : volume === "terminal" ? "silent" : "plain";
	}

	readonly report = (event: ProgressEvent): void => {
		if (this.#form === "silent") return;
		const nowMs = performance.now();
		const fresh = event.step !== this.#step;
		if (fresh) {
			this.#step = event.step;
			this.#beganMs = nowMs;
		}
		if (this.#form === "plain") this.#note(event, fresh ? "new" : "same", nowMs);
		else if (fresh || nowMs - this.#shownMs >= REDRAW_MS) this.#draw(event, nowMs);
	};

	/** Bytes of one step, for work that counts nothing else. */
	bytes(step: string): (doneBytes: number, totalBytes: number) => void {
		return (doneBytes, totalBytes) => this.report({ step, doneBytes, totalBytes });
	}

	/** Takes the line away again. */
	done(): void {
		if (this.#drawn !== "") this.#stream.write("\r\u001b[K");
		this.#drawn = "";
	}

	#note(event: ProgressEvent, step: "new" | "same", nowMs: number): void {
		if (step === "same" && event.line === undefined && nowMs - this.#shownMs < NOTE_MS) return;
		this.#shownMs = nowMs;
		if (step === "new") this.#stream.write(`vouch: ${printable(event.step)}\n`);
		else if (event.line === undefined) this.#stream.write(`vouch: ${printable(event.step)}, ${amountOf(event)}\n`);
		if (event.line !== undefined) this.#stream.write(`  ${printable(event.line)}\n`);
	}

	#draw(event: ProgressEvent, nowMs: number): void {
		this.#shownMs = nowMs;
		const { doneBytes = 0, totalBytes, line } = event;
		const seconds = (nowMs - this.#beganMs) / 1000;
		const speed = seconds > 1 && doneBytes > 0 ? `, ${formatBytes(doneBytes / seconds)}/s` : "";
		const amount = totalBytes === undefined ? "" : `  ${amountOf(event)}${speed}`;
		const said = line === undefined ? "" : `  ${printable(line)}`;
		const width = (this.#stream.columns ?? 80) - 1;
		const text = [...`${printable(event.step)}${amount}${said}`].slice(0, width).join("");
		if (text === this.#drawn) return;
		this.#drawn = text;
		this.#stream.write(`\r\u001b[K${paint("dim", text, this.#stream)}`);
	}
}

function amountOf({ doneBytes = 0, totalBytes }: ProgressEvent): string {
	if (totalBytes === undefined) return "still at it";
	const percent = totalBytes === 0 ? 100 : Math.min(100, Math.max(0, Math.floor((doneBytes / totalBytes) * 100)));
	return `${formatBytes(Math.max(0, doneBytes))} of ${formatBytes(totalBytes)} (${percent} %)`;
}
