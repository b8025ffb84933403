/** Whole lines of a stream of UTF-8, without their ends (LF or CRLF); what follows the last one too. */
async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
	const decoder = new TextDecoder();
	let rest = "";
	for await (const chunk of stream) {
		const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
		rest = lines.pop() ?? "";
		for (const line of lines) yield line.endsWith("\r") ? line.slice(0, -1) : line;
	}
	if (rest !== "") yield rest;
}

/** The stream's own parts. */
export async function* partsOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
	yield* stream;
}

/** Values of a stream of JSON lines. */
export async function* jsonLinesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
	for await (const line of linesOf(stream)) if (line !== "") yield JSON.parse(line);
}

/** Data of Server-Sent Events, each of which is one JSON value (HTML Living Standard, 9.2.6). Comments keep the line open. */
export async function* eventsOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
	let data: string[] = [];
	for await (const line of linesOf(stream)) {
		if (line === "" && data.length > 0) {
			yield JSON.parse(data.join("\n"));
			data = [];
		} else if (line.startsWith("data:")) {
			data.push(line.slice("data:".length).replace(/^ /, ""));
		}
	}
}
