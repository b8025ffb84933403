/**
 * The server behind the proxies, in a process of its own.
 *
 *   node gate-origin.ts ADDRESS...      prints one port per address, then serves until its stdin closes
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";

const block = Buffer.alloc(2 ** 18, "d");

function* blocks(size: number): Generator<Buffer> {
	for (let left = size; left > 0; left -= block.length) yield block.subarray(0, Math.min(left, block.length));
}

function answer(request: IncomingMessage, response: ServerResponse): void {
	const size = Number(/^\/bytes\/(\d+)$/.exec(request.url ?? "")?.[1] ?? "0");
	if (size === 0) {
		request.resume().once("end", () => response.end("pong"));
		return;
	}
	response.setHeader("content-length", size);
	// A client that goes away early is its own affair.
	pipeline(blocks(size), response).catch(() => response.destroy());
}

for (const address of process.argv.slice(2)) {
	const server = createServer(answer);
	await new Promise<void>((resolve) => server.listen(0, address, 4096, resolve));
	process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
}
process.stdin.once("end", () => process.exit(0)).resume();
