import {
	type IncomingHttpHeaders,
	type IncomingMessage,
	Agent as PlainAgent,
	request as plainRequest,
} from "node:http";
import { Agent as SecureAgent, request as secureRequest } from "node:https";
import type { LookupFunction } from "node:net";
import { createSecureContext, getCACertificates } from "node:tls";
import type { Patience } from "./limits.ts";
import { Setback } from "./persistence.ts";
import { isLoopback } from "./reference.ts";

export interface Call {
	readonly method: "GET" | "HEAD" | "POST" | "PATCH" | "PUT";
	readonly url: URL;
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: Uint8Array;
	readonly signal?: AbortSignal | undefined;
	/** Bytes of the body that were handed to the system. */
	readonly onSent?: (bytes: number) => void;
}

export interface Answer {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	/** To be read to its end or destroyed. */
	readonly body: IncomingMessage;
}

export interface ConnectionSettings {
	readonly patience: Patience;
	/** `HTTPS_PROXY` and so on, as curl reads them. */
	readonly proxyEnvironment?: Readonly<Record<string, string | undefined>> | undefined;
	/** Certificates trusted besides those of the system, PEM. */
	readonly certificates?: readonly string[] | undefined;
	readonly lookup?: LookupFunction | undefined;
}

const SLICE_BYTES = 64 * 2 ** 10;

/** Kept connections to the hosts of one job. One call is one request and the head of its answer; nothing is followed. */
export class Connection {
	readonly #settings: ConnectionSettings;
	readonly #plain: PlainAgent;
	#secure: SecureAgent | undefined;

	constructor(settings: ConnectionSettings) {
		this.#settings = settings;
		this.#plain = new PlainAgent({ keepAlive: true });
	}

	/** Throws Setback when the connection was lost, TypeError for what must not be spoken to. */
	call(call: Call): Promise<Answer> {
		const { url, signal, body } = call;
		if (!isAllowed(url)) throw new TypeError(`${url.protocol}//${url.host} would be spoken to without TLS`);
		const secure = url.protocol === "https:";
		const { stallMs } = this.#settings.patience;
		return new Promise((resolve, reject) => {
			const request = (secure ? secureRequest : plainRequest)(url, {
				method: call.method,
				agent: secure ? this.#secureAgent() : this.#plain,
				headers: { "accept-encoding": "identity", "user-agent": "vouch", ...call.headers, ...lengthOf(call) },
				timeout: stallMs,
				...(signal && { signal }),
				...(this.#settings.lookup && { lookup: this.#settings.lookup }),
			});
			// Beyond silence: a registry that takes or gives a byte now and then must come to its answer as well.
			const wholeMs = 2 * stallMs + ((body?.length ?? 0) / this.#settings.patience.slowestBytesPerSecond) * 1000;
			const late = setTimeout(() => request.destroy(new Error("it took too long to answer")), wholeMs);
			request.once("timeout", () => request.destroy(new Error(`it was silent for ${stallMs / 1000} s`)));
			request.once("close", () => clearTimeout(late));
			request.once("error", (error) => {
				clearTimeout(late);
				reject(signal?.aborted === true ? signal.reason : lossOf(error));
			});
			request.once("response", (response) => {
				clearTimeout(late);
				// Whoever reads it hears of later trouble; until then it must not count as nobody's.
				response.on("error", () => {});
				resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response });
			});
			send(request, body, call.onSent);
		});
	}

	close(): void {
		this.#plain.destroy();
		this.#secure?.destroy();
	}

	#secureAgent(): SecureAgent {
		const { certificates = [], proxyEnvironment } = this.#settings;
		const trusted = [...new Set([...getCACertificates("default"), ...getCACertificates("system"), ...certificates])];
		// What the machine's administrator trusts, as curl and skopeo do, and not only what Node brings.
		this.#secure ??= new SecureAgent({
			keepAlive: true,
			// One context for all connections: the agent would name each by the text of every certificate.
			secureContext: createSecureContext({ ca: trusted }),
			...(proxyEnvironment && { proxyEnv: proxyEnvironment }),
		});
		return this.#secure;
	}
}

/** HTTPS anywhere, plain HTTP to this machine. */
export function isAllowed(url: URL): boolean {
	return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
}

function lengthOf({ body, method }: Call): Readonly<Record<string, string>> {
	return body === undefined && (method === "GET" || method === "HEAD")
		? {}
		: { "content-length": String(body?.length ?? 0) };
}

/** In slices, so that progress is seen and a slow line is told from a dead one. */
function send(
	request: ReturnType<typeof plainRequest>,
	body: Uint8Array | undefined,
	onSent: ((bytes: number) => void) | undefined,
): void {
	let sent = 0;
	const next = (): void => {
		while (body !== undefined && sent < body.length) {
			if (request.destroyed) return;
			const slice = body.subarray(sent, sent + SLICE_BYTES);
			sent += slice.length;
			onSent?.(slice.length);
			if (!request.write(slice)) {
				request.once("drain", next);
				return;
			}
		}
		request.end();
	};
	next();
}

/** What another try won't mend: no such host, a certificate that is not to be trusted. */
const FINAL =
	/^(?:ENOTFOUND|CERT_|ERR_TLS|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH|EPROTO|ERR_SSL|ERR_INVALID)/;

export class Unreachable extends Error {}

export function lossOf(error: Error & { readonly code?: string }): Error {
	if (error instanceof Setback) return error;
	const reason = error.code === "ECONNRESET" ? "the connection was cut" : error.message;
	return FINAL.test(error.code ?? "")
		? new Unreachable(reason, { cause: error })
		: new Setback(reason, { cause: error });
}
