import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import type { Digest } from "../../core/index.ts";
import { Masking } from "./masking.ts";

/** Bytes that a run's two streams may print together; shared between both captures. */
export interface OutputBudget {
	left: number;
	/** Called with every chunk that did not fit. */
	exhausted: () => void;
}

export interface Captured {
	/** Digest of what is kept: the stream, with secrets masked. */
	readonly digest: Digest;
	/** Bytes the command printed, up to the budget. */
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
	secrets: readonly string[],
	budget: OutputBudget,
): Promise<Captured> {
	const hash = createHash("sha256");
	const file = createWriteStream(path, { flags: "wx", mode: 0o600 });
	const masking = new Masking(secrets);
	masking.on("data", (chunk: Buffer) => hash.update(chunk));
	masking.pipe(file);
	const kept = finished(file);
	// A failure of the file ends the loop below at once, however quiet the command is.
	kept.catch((error: Error) => source.destroy(error));
	let bytes = 0;
	let truncated = false;
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
			truncated = true;
			budget.exhausted();
		}
		bytes += chunk.length;
		await Promise.all([send(untouched, chunk), send(masking, chunk)]);
	}
	masking.end();
	await kept;
	return { digest: `sha256:${hash.digest("hex")}` as Digest, bytes, truncated };
}

async function send(target: Writable | null, chunk: Buffer): Promise<void> {
	if (target === null || target.destroyed || chunk.length === 0 || target.write(chunk)) return;
	await new Promise<void>((resolve) => {
		const settle = (): void => {
			for (const event of ["drain", "close", "error"]) target.off(event, settle);
			resolve();
		};
		for (const event of ["drain", "close", "error"]) target.once(event, settle);
	});
}
