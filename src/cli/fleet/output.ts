import { once } from "node:events";
import type { Client } from "../../api/index.ts";
import { followLogs, type LogEvent } from "../../api/index.ts";

export type StreamName = "stdout" | "stderr";

/** Writes bytes; waits where the reader is slower than what comes. A reader that went away ends nothing. */
export async function write(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
	if (!stream.destroyed && !stream.write(bytes)) await Promise.race([once(stream, "drain"), once(stream, "close")]);
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

/** Prints output that is stored, and with `follow` what comes until the directive ends. */
export async function printOutput(
	client: Client,
	directive_id: string,
	how: { readonly follow: "follow" | "stored"; readonly only: StreamName | undefined },
): Promise<void> {
	const events =
		how.follow === "follow"
			? followLogs(client, directive_id)
			: client.directives.tail({ directive_id, follow: "false" });
	for await (const event of events) if (event.event === "chunk") await writeChunk(event, how.only);
}
