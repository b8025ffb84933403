import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One exchange on its way through. Whatever a test does to it happens instead of passing it on. */
export interface Passing {
	readonly method: string;
	readonly path: string;
	readonly headers: IncomingMessage["headers"];
	readonly number: number;
	readonly request: IncomingMessage;
	readonly response: ServerResponse;
}

/** What becomes of an exchange; undefined passes it on untouched. */
export type Mischief =
	| { readonly kind: "cut-request"; readonly afterBytes: number }
	| { readonly kind: "cut-response"; readonly afterBytes: number }
	| { readonly kind: "flip"; readonly atByte: number; readonly where: "request" | "response" }
	| { readonly kind: "lie-about-length"; readonly by: number }
	| { readonly kind: "stall"; readonly afterBytes: number }
	| { readonly kind: "trickle"; readonly bytesPerTick: number }
	| {
			readonly kind: "answer";
			readonly status: number;
			readonly headers?: Record<string, string>;
			readonly body?: string;
	  };

export interface HostileProxy {
	readonly port: number;
	/** `METHOD path` of each exchange so far. */
	readonly seen: readonly Passing[];
	mischief: (passing: Passing) => Mischief | undefined;
	close(): Promise<void>;
}

/** Stands between a client and a registry on this machine's loopback, and does what a bad line or a bad host would. */
export async function hostileProxy(targetPort: number): Promise<HostileProxy> {
	const seen: Passing[] = [];
	const server = createServer((incoming, response) => {
		const passing: Passing = {
			method: incoming.method ?? "",
			path: incoming.url ?? "",
			headers: incoming.headers,
			number: seen.length,
			request: incoming,
			response,
		};
		seen.push(passing);
		pass(passing, targetPort, proxy.mischief(passing));
	});
	// Errors of cut connections are what this is for.
	server.on("clientError", (_, socket) => socket.destroy());
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const proxy: HostileProxy = {
		port: (server.address() as AddressInfo).port,
		seen,
		mischief: () => undefined,
		close: async () => {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
	return proxy;
}

function pass(
	{ request: incoming, response, method, path }: Passing,
	port: number,
	mischief: Mischief | undefined,
): void {
	incoming.on("error", () => {});
	response.on("error", () => {});
	if (mischief?.kind === "answer") {
		incoming.resume();
		response.writeHead(mischief.status, mischief.headers).end(mischief.body);
		return;
	}
	const outgoing = request({ host: "127.0.0.1", port, method, path, headers: incoming.headers, agent: false });
	outgoing.on("error", () => incoming.socket.destroy());
	outgoing.on("response", (answer) => giveBack(answer, incoming, response, mischief));
	let passed = 0;
	incoming.on("data", (chunk: Buffer) => {
		if (mischief?.kind === "cut-request" && passed + chunk.length > mischief.afterBytes) {
			outgoing.write(chunk.subarray(0, Math.max(0, mischief.afterBytes - passed)), () => outgoing.destroy());
			incoming.socket.destroy();
			return;
		}
		outgoing.write(
			mischief?.kind === "flip" && mischief.where === "request" ? flipped(chunk, mischief.atByte - passed) : chunk,
		);
		passed += chunk.length;
	});
	incoming.on("end", () => outgoing.end());
}

function giveBack(
	answer: IncomingMessage,
	incoming: IncomingMessage,
	response: ServerResponse,
	mischief: Mischief | undefined,
): void {
	const headers = { ...answer.headers };
	// The registry names itself in Location: whoever asks through here must come back through here.
	if (headers.location !== undefined)
		headers.location = new URL(headers.location).pathname + new URL(headers.location).search;
	if (mischief?.kind === "lie-about-length") {
		headers["content-length"] = String(Number(headers["content-length"]) + mischief.by);
	}
	response.strictContentLength = false;
	response.writeHead(answer.statusCode ?? 0, headers);
	if (mischief?.kind === "trickle") {
		trickle(answer, response, mischief.bytesPerTick);
		return;
	}
	let passed = 0;
	answer.on("data", (chunk: Buffer) => {
		if (mischief?.kind === "cut-response" && passed + chunk.length > mischief.afterBytes) {
			response.write(chunk.subarray(0, Math.max(0, mischief.afterBytes - passed)), () => incoming.socket.destroy());
			answer.destroy();
			return;
		}
		if (mischief?.kind === "stall" && passed + chunk.length > mischief.afterBytes) {
			answer.destroy();
			return;
		}
		response.write(
			mischief?.kind === "flip" && mischief.where === "response" ? flipped(chunk, mischief.atByte - passed) : chunk,
		);
		passed += chunk.length;
	});
	answer.on("end", () => response.end());
	answer.on("error", () => {});
}

function trickle(answer: IncomingMessage, response: ServerResponse, bytesPerTick: number): void {
	const timer = setInterval(() => response.write(Buffer.alloc(bytesPerTick)), 20);
	response.once("close", () => {
		clearInterval(timer);
		answer.destroy();
	});
}

function flipped(chunk: Buffer, at: number): Buffer {
	if (at < 0 || at >= chunk.length) return chunk;
	const copy = Buffer.from(chunk);
	copy[at] = (copy[at] ?? 0) ^ 1;
	return copy;
}
