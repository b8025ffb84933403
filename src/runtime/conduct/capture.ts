import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import type { Digest } from "../../core/index.ts";
import { BeyondLimit, type Kept } from "./beyond-limit.ts";
import { type Hidden, Masking } from "./masking.ts";
import { send } from "./send.ts";

/** Bytes that a run's two streams may print together; shared between both captures. */
export interface OutputBudget {
	left: number;
	/** Called with every chunk that did not fit. */
	exhausted: () => void;
	/** Bytes of both streams that did not fit. */
	beyond: number;
	readonly kept: Kept;
}

export interface Captured {
	/** Digest of what is kept: the stream, with secrets masked. */
	readonly digest: Digest;
	/** Of the same. */
	readonly bytes: number;
	readonly truncated: boolean;
}

/** Where a stream is shown while it comes. */
export interface Screen {
	readonly target: Writable;
	readonly secrets: "shown" | "masked";
}

/**
 * Copies one stream of the run to the screen and, with secrets masked, to a file, and digests the file. Back-pressure
 * of the screen reaches the command. A screen that went away (EPIPE) is forgotten; the file goes on.
 */
export async function capture(
	source: Readable,
	screen: Screen | null,
	path: string,
	hidden: Hidden,
	budget: OutputBudget,
): Promise<Captured> {
	const hash = createHash("sha256");
	const file = createWriteStream(path, { flags: "wx", mode: 0o600 });
	const masking = new Masking(hidden);
	let bytes = 0;
	masking.on("data", (chunk: Buffer) => {
		hash.update(chunk);
		bytes += chunk.length;
	});
	masking.pipe(file);
	const kept = finished(file);
	// A failure of the file ends the loop below at once, however quiet the command is.
	kept.catch((error: Error) => source.destroy(error));
	const beyond = new BeyondLimit(overflowFile(path), hidden, budget.kept, budget);
	let untouched = screen?.secrets === "shown" ? screen.target : null;
	if (screen?.secrets === "masked") masking.pipe(screen.target, { end: false });
	// Never taken off: the last bytes may fail after all is done here, and that is no failure of the run either.
	screen?.target.on("error", () => {
		untouched = null;
		masking.unpipe(screen.target);
	});
	for await (const whole of source as AsyncIterable<Buffer>) {
		const chunk = whole.subarray(0, budget.left);
		budget.left -= chunk.length;
		if (chunk.length < whole.length) {
			budget.exhausted();
			await beyond.take(whole.subarray(chunk.length));
		}
		await Promise.all([send(untouched, chunk), send(masking, chunk)]);
	}
	const { end, leftOut } = await beyond.finish();
	await Promise.all([send(untouched, end), send(masking, end)]);
	masking.end();
	await kept;
	return { digest: `sha256:${hash.digest("hex")}` as Digest, bytes, truncated: leftOut > 0 };
}

/** Where what is beyond the limit is kept, beside the file of the stream. */
export function overflowFile(path: string): string {
	return `${path}.beyond`;
}
