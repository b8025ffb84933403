import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { agentFailures } from "./failures.ts";

/** PEM texts. `ca` null trusts what the system trusts. */
export interface TlsMaterial {
	readonly ca: string | null;
	readonly certificate: string | null;
	readonly key: string | null;
}

/** How a node reaches its control plane. */
export interface TransportSettings {
	/** Base URL; a path prefix is kept. */
	readonly serverUrl: string;
	/** Sent with every request, also beside a client certificate (conduits section 2.2). */
	readonly territoryId: string | null;
	/** Further headers, as of now. */
	headers?(): Readonly<Record<string, string>>;
	/** As of now: another object once it has changed. */
	tls(): TlsMaterial;
}

export interface Reply {
	readonly status: number;
	readonly body: unknown;
	/** Whole seconds, when the server says so. */
	readonly retryAfterSeconds: number | null;
}

export interface PostOptions {
	readonly timeoutMs: number;
	readonly token?: string;
	readonly signal?: AbortSignal;
}

const MAX_REPLY_BYTES = 4 * 1024 * 1024;

/** Requests of the node protocol: JSON, HTTP/1.1, kept alive. Never through a proxy that the environment names. */
export class Transport {
	readonly #settings: TransportSettings;
	readonly #isSecure: boolean;
	#tls: TlsMaterial;
	#agent: HttpAgent;

	constructor(settings: TransportSettings) {
		this.#settings = settings;
		this.#isSecure = new URL(settings.serverUrl).protocol === "https:";
		this.#tls = settings.tls();
		this.#agent = this.#newAgent();
	}

	#newAgent(): HttpAgent {
		const { ca, certificate, key } = this.#tls;
		if (!this.#isSecure) return new HttpAgent({ keepAlive: true });
		return new HttpsAgent({
			keepAlive: true,
			minVersion: "TLSv1.2",
			...(ca === null ? {} : { ca }),
			...(certificate === null || key === null ? {} : { cert: certificate, key }),
		});
	}

	/** Connections that showed an older certificate are not used again. */
	#currentAgent(): HttpAgent {
		const tls = this.#settings.tls();
		if (tls !== this.#tls) {
			this.#tls = tls;
			this.#agent.destroy();
			this.#agent = this.#newAgent();
		}
		return this.#agent;
	}

	post(path: string, body: unknown, options: PostOptions): Promise<Reply> {
		return this.#send("POST", path, JSON.stringify(body), options);
	}

	get(path: string, options: PostOptions): Promise<Reply> {
		return this.#send("GET", path, "", options);
	}

	/** Throws VouchError `control-plane-unreachable` when there is no whole answer in time. */
	#send(method: "GET" | "POST", path: string, text: string, options: PostOptions): Promise<Reply> {
		const { serverUrl, territoryId } = this.#settings;
		const send = this.#isSecure ? httpsRequest : httpRequest;
		const limit = AbortSignal.timeout(options.timeoutMs);
		const signal = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]);
		return new Promise((resolve, reject) => {
			const fail = (error: Error) => {
				const problem = signal.aborted ? `no answer in ${options.timeoutMs} ms` : error.message;
				reject(agentFailures.fail("control-plane-unreachable", { what: path, problem }, error));
			};
			const request = send(`${serverUrl.replace(/\/$/, "")}${path}`, {
				method,
				agent: this.#currentAgent(),
				signal,
				headers: {
					...this.#settings.headers?.(),
					...(method === "GET"
						? {}
						: { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
					...(territoryId === null ? {} : { "x-nexus-territory-id": territoryId }),
					...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
				},
			});
			request.on("error", fail);
			request.on("response", (response) => {
				readReply(response).then(resolve, fail);
			});
			request.end(text);
		});
	}

	close(): void {
		this.#agent.destroy();
	}
}

async function readReply(response: IncomingMessage): Promise<Reply> {
	const chunks: Buffer[] = [];
	let size = 0;
	for await (const chunk of response as AsyncIterable<Buffer>) {
		size += chunk.length;
		if (size > MAX_REPLY_BYTES) throw new Error(`the answer has more than ${MAX_REPLY_BYTES} bytes`);
		chunks.push(chunk);
	}
	const told = Number(response.headers["retry-after"]);
	return {
		status: response.statusCode ?? 0,
		body: parsed(Buffer.concat(chunks).toString("utf8")),
		retryAfterSeconds: Number.isInteger(told) && told > 0 ? told : null,
	};
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}
