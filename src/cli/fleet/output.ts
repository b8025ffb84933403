import { isUtf8 } from "node:buffer";
import type { Client } from "../../api/index.ts";
import { followLogs, type LogEvent } from "../../api/index.ts";

export type StreamName = "stdout" | "stderr";

/** Writes bytes; waits where the reader is slower than what comes. A reader that went away ends nothing. */
export async function write(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
	if (!stream.writable || stream.write(bytes)) return;
	const { promise, resolve } = Promise.withResolvers<void>();
	for (const event of FREE_OR_GONE) stream.once(event, resolve);
	await promise;
	for (const event of FREE_OR_GONE) stream.off(event, resolve);
}

const FREE_OR_GONE = ["drain", "close", "error"] as const;

/** Writes what a source gives, as fast as the reader takes it, as long as there is one. */
export async function writeFrom(source: AsyncIterable<Uint8Array>, stream: NodeJS.WriteStream): Promise<void> {
	for await (const bytes of source) {
		if (!stream.writable) return;
		await write(stream, bytes);
	}
}

/** Writes a chunk of output to where the command wrote it; `only` leaves the other stream out and prints to stdout. */
export async function writeChunk(
	event: Extract<LogEvent, { event: "chunk" }>,
	only: StreamName | undefined,
): Promise<void> {
	if (only !== undefined && event.stream !== only) return;
	const screen = only === undefined && event.stream === "stderr" ? process.stderr : process.stdout;
	await write(screen, Buffer.from(event.bytes_base64, "base64"));
}

/** Output for programs: its text, or base64 where it is no UTF-8. */
export interface OutputChunk {
	readonly stream: StreamName;
	readonly seq: number;
	readonly bytes: Uint8Array;
	/** What came after it in its stream may have been left out. */
	readonly truncated: boolean;
}

/** Writes a chunk as a line of JSON. */
export function writeLine({ stream, seq, bytes, truncated }: OutputChunk): Promise<void> {
	const buffer = Buffer.from(bytes);
	const content = isUtf8(buffer) ? { text: buffer.toString() } : { base64: buffer.toString("base64") };
	return write(process.stdout, Buffer.from(`${JSON.stringify({ stream, seq, ...content, truncated })}\n`));
}

/** Prints output that is stored, and with `follow` what comes until the directive ends. */
export async function printOutput(
	client: Client,
	directive_id: string,
	how: {
		readonly follow: "follow" | "stored";
		readonly only: StreamName | undefined;
		readonly as: "bytes" | "json-lines";
	},
): Promise<void> {
	const events =
		how.follow === "follow"
			? followLogs(client, directive_id)
			: client.directives.tail({ directive_id, follow: "false" });
	for await (const event of events) {
		if (event.event !== "chunk") continue;
		if (how.as === "bytes") await writeChunk(event, how.only);
		else if ((how.only ?? event.stream) === event.stream)
			await writeLine({ ...event, bytes: Buffer.from(event.bytes_base64, "base64") });
	}
}
