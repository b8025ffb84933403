import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";

/** What a node posted. */
export interface Heard {
	readonly path: string;
	readonly body: Readonly<Record<string, unknown>>;
	readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** A control plane as they were before ours (conduits sections 2.3 and 5.1): no workload, no decision, no receipts. */
export class ExistingControlPlane {
	readonly heard: Heard[] = [];
	/** Answers of other statuses, taken from the front, by the end of the path. */
	readonly failures: { readonly path: string; readonly status: number }[] = [];
	/** Further members of the answers to polls and to the territory's heartbeats. */
	pollAnswer: object = { retry_after_seconds: 1 };
	heartbeatAnswer: object = { next_heartbeat_interval_seconds: 30 };
	readonly #leases: object[] = [];
	readonly #server: Server;
	readonly #channels = new WebSocketServer({ noServer: true, handleProtocols: () => "actioncable-v1-json" });
	#pings: NodeJS.Timeout | undefined;

	constructor() {
		this.#server = createServer((request, response) => {
			const chunks: Buffer[] = [];
			request.on("data", (chunk: Buffer) => chunks.push(chunk));
			request.on("end", () => {
				const text = Buffer.concat(chunks).toString() || "{}";
				this.heard.push({ path: request.url ?? "", body: JSON.parse(text), headers: request.headers });
				const { status, body } = this.#answer(request.url ?? "");
				response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
			});
		});
	}

	listen(): Promise<string> {
		return new Promise((resolve) =>
			this.#server.listen(0, "127.0.0.1", () => {
				resolve(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
			}),
		);
	}

	close(): void {
		clearInterval(this.#pings);
		for (const channel of this.#channels.clients) channel.terminate();
		this.#server.closeAllConnections();
		this.#server.close();
	}

	/** From now on nodes may also be told things (section 4). */
	openChannels(): void {
		this.#server.on("upgrade", (request, socket, head) =>
			this.#channels.handleUpgrade(request, socket, head, (channel) => {
				channel.on("error", () => {});
				channel.on("message", (data) => {
					const { identifier } = JSON.parse(String(data));
					channel.send(JSON.stringify({ type: "confirm_subscription", identifier }));
				});
				channel.send(JSON.stringify({ type: "welcome" }));
			}),
		);
		this.#pings = setInterval(() => this.#sendAll({ type: "ping", message: 1 }), 1_000);
	}

	/** Tells every node that has a channel. */
	tell(message: object): void {
		this.#sendAll({ identifier: JSON.stringify({ channel: "Conduits::TerritoryChannel" }), message });
	}

	#sendAll(frame: object): void {
		for (const channel of this.#channels.clients) channel.send(JSON.stringify(frame));
	}

	lease(id: string, command: string, more: object = {}): void {
		const facility = { id: "facility_1", mount: "/workspace" };
		const spec = {
			directive_id: id,
			facility,
			sandbox_profile: "untrusted",
			command,
			shell: "/bin/sh",
			cwd: "/workspace",
		};
		// As the reference says it when no policy does: `net` without a mode.
		const capabilities = { fs: { read: ["workspace:**"] }, net: {}, secrets: {}, sandbox_profile_rules: {} };
		const rest = {
			timeout_seconds: 60,
			limits: {},
			capabilities,
			artifacts: {},
		};
		this.#leases.push({ directive_id: id, directive_token: `token of ${id}`, spec: { ...spec, ...rest, ...more } });
	}

	/** Bodies of what was posted to the end of a path, oldest first. */
	posted(end: string): readonly Heard["body"][] {
		return this.heard.filter(({ path }) => path.endsWith(end)).map(({ body }) => body);
	}

	output(id: string, stream: string): string {
		const chunks = this.posted(`${id}/log_chunks`).filter((chunk) => chunk.stream === stream);
		return chunks
			.toSorted((a, b) => Number(a.seq) - Number(b.seq))
			.map(({ bytes }) => Buffer.from(String(bytes), "base64").toString())
			.join("");
	}

	#answer(path: string): { readonly status: number; readonly body: object } {
		const failing = this.failures.findIndex((failure) => path.endsWith(failure.path));
		if (failing !== -1) {
			const [{ status } = { status: 500 }] = this.failures.splice(failing, 1);
			return { status, body: { error: "unavailable", detail: "" } };
		}
		if (path.endsWith("/polls"))
			return {
				status: 200,
				body: { directives: this.#leases.splice(0, 1), lease_ttl_seconds: 300, ...this.pollAnswer },
			};
		if (path.endsWith("/territories/heartbeat")) return { status: 200, body: { ok: true, ...this.heartbeatAnswer } };
		if (/\/directives\/[^/]+\/heartbeat$/.test(path))
			return { status: 200, body: { cancel_requested: false, lease_renewed: true, directive_token: "a newer token" } };
		if (/\/(started|finished|log_chunks)$/.test(path)) return { status: 200, body: { ok: true } };
		return { status: 404, body: { error: "not_found" } };
	}
}
