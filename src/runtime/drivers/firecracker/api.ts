import { type ClientRequest, type IncomingMessage, request } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiCall } from "./calls.ts";
import { fail } from "./failures.ts";
import { connectPrivately } from "./private-socket.ts";

export interface ApiOptions {
	/** On the host. */
	readonly socketPath: string;
	/** For the socket to be there. */
	readonly startTimeoutMs: number;
	/** For each answer. */
	readonly callTimeoutMs: number;
	/** Ends the waiting, e.g. when the process has ended; its reason is what is said. */
	readonly signal: AbortSignal;
}

const POLL_MS = 5;
/** Its errors are a sentence or two. */
const MOST_ANSWER_BYTES = 16_384;

/** Makes the calls one after the other. The first that does not succeed ends it, as a VouchError. */
export async function makeCalls(calls: readonly ApiCall[], options: ApiOptions): Promise<void> {
	await untilThere(options);
	for (const call of calls) {
		const { status, text } = await answerTo(call, options);
		// Every call of ours has 204 as its only success.
		if (status !== 204)
			throw fail("firecracker-refused", { call: nameOf(call), reason: `${status}, ${faultOf(text)}` });
	}
}

async function untilThere(options: ApiOptions): Promise<void> {
	const { socketPath, startTimeoutMs, signal } = options;
	const startedMs = performance.now();
	while (true) {
		try {
			(await connectPrivately(socketPath)).destroy();
			return;
		} catch (error) {
			if (signal.aborted) throw lost("the start", signal.reason);
			if (performance.now() - startedMs > startTimeoutMs) {
				throw fail("firecracker-silent", { call: "the start", timeoutMs: String(startTimeoutMs) }, error);
			}
			await sleep(POLL_MS);
		}
	}
}

interface Answer {
	readonly status: number;
	readonly text: string;
}

async function answerTo(call: ApiCall, options: ApiOptions): Promise<Answer> {
	const { socketPath, callTimeoutMs, signal } = options;
	const late = AbortSignal.timeout(callTimeoutMs);
	try {
		const socket = await connectPrivately(socketPath);
		return await exchange(call, socket, AbortSignal.any([late, signal]));
	} catch (error) {
		if (signal.aborted) throw lost(nameOf(call), signal.reason);
		if (late.aborted) throw fail("firecracker-silent", { call: nameOf(call), timeoutMs: String(callTimeoutMs) }, error);
		throw lost(nameOf(call), error);
	}
}

function exchange(call: ApiCall, socket: Socket, signal: AbortSignal): Promise<Answer> {
	const body = JSON.stringify(call.body);
	return new Promise((resolve, reject) => {
		const outgoing: ClientRequest = request({
			createConnection: () => socket,
			method: call.method,
			path: call.path,
			headers: {
				Accept: "application/json",
				Connection: "close",
				"Content-Type": "application/json",
				"Content-Length": Buffer.byteLength(body),
				Host: "localhost",
			},
			signal,
		});
		outgoing.on("error", reject);
		outgoing.on("response", (incoming: IncomingMessage) => {
			const parts: Buffer[] = [];
			let bytes = 0;
			incoming.on("data", (part: Buffer) => {
				bytes += part.length;
				if (bytes > MOST_ANSWER_BYTES) incoming.destroy(new Error("its answer does not end"));
				parts.push(part);
			});
			incoming.on("error", reject);
			incoming.on("end", () =>
				resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") }),
			);
		});
		outgoing.end(body);
	});
}

function lost(call: string, reason: unknown) {
	return fail("firecracker-lost", {
		call,
		reason: printable(reason instanceof Error ? reason.message : String(reason)),
	});
}

function nameOf({ method, path }: ApiCall): string {
	return `${method} ${path}`;
}

/** definitions/Error of its API; whatever else it may say is not for people. */
function faultOf(text: string): string {
	try {
		const parsed: unknown = JSON.parse(text);
		if (typeof parsed === "object" && parsed !== null && "fault_message" in parsed)
			return printable(String(parsed.fault_message));
	} catch {
		// Not JSON: told as such.
	}
	return "without a reason";
}

function printable(text: string): string {
	return text
		.replace(/[^\x20-\x7e]+/g, " ")
		.trim()
		.slice(0, 300);
}
