import assert from "node:assert/strict";
import { closeSync, constants, existsSync, openSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSocketServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { isAnswer, phaseOf, type Request, violationsOf } from "./api-contract.ts";

/** What the peer does otherwise than it should. */
export interface PeerScript {
	/** By `METHOD /path`. */
	readonly misbehave?: Readonly<Record<string, Misbehaviour>>;
	/** Whether files that requests name must be there, below `root`. */
	readonly files?: "checked" | "ignored";
	/** What the guest does with a connection to a port, after the greeting; undefined: nobody listens. */
	readonly guest?: (socket: Socket, port: number) => void;
	/** Whether the guest listens just now; until then connections are closed. Default: always. */
	readonly isListening?: () => boolean;
	/** Called when the machine is started, with all requests so far. */
	readonly started?: (requests: readonly Request[]) => void;
	/** Instead of `OK PORT`. */
	readonly greeting?: string;
}

export type Misbehaviour =
	| { readonly kind: "refuse"; readonly status: number; readonly message: string }
	| { readonly kind: "stall" }
	| { readonly kind: "close" }
	| { readonly kind: "garbage"; readonly bytes: string }
	| { readonly kind: "endless" };

/**
 * Firecracker as far as its API goes: a Unix socket that answers as the published definition says, validates each request by
 * it, and keeps its states. No machine runs behind it.
 */
export class ApiPeer implements AsyncDisposable {
	readonly requests: Request[] = [];
	readonly #root: string;
	readonly #script: PeerScript;
	readonly #servers: Server[] = [];
	readonly #sockets = new Set<Socket>();
	#state: "fresh" | "configured" | "running" | "paused" = "fresh";

	private constructor(root: string, script: PeerScript) {
		this.#root = root;
		this.#script = script;
	}

	static async listen(root: string, script: PeerScript = {}): Promise<ApiPeer> {
		const peer = new ApiPeer(root, script);
		const server = createServer((request, response) => {
			peer.#take(request, response).catch((error: unknown) => response.destroy(error as Error));
		});
		await peer.#listen(server, "/api.sock");
		return peer;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const socket of this.#sockets) socket.destroy();
		await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
	}

	#listen(server: Server, path: string): Promise<void> {
		this.#servers.push(server);
		server.on("connection", (socket) => {
			this.#sockets.add(socket);
			socket.on("error", () => {});
			socket.on("close", () => this.#sockets.delete(socket));
		});
		// A jail's path is longer than a socket's may be; Firecracker itself is inside, where it is short.
		const folder = openSync(this.#root, constants.O_RDONLY | constants.O_DIRECTORY);
		return new Promise<void>((resolve, reject) => {
			server.once("error", reject);
			server.listen(`/proc/self/fd/${folder}${path}`, resolve);
		}).finally(() => closeSync(folder));
	}

	async #take(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
		const parts: Buffer[] = [];
		for await (const part of incoming) parts.push(part as Buffer);
		const text = Buffer.concat(parts).toString("utf8");
		const request = {
			method: incoming.method ?? "",
			path: incoming.url ?? "",
			body: text === "" ? undefined : (JSON.parse(text) as unknown),
		};
		this.requests.push(request);
		const other = this.#script.misbehave?.[`${request.method} ${request.path}`];
		if (other !== undefined) {
			this.#misbehave(other, request, incoming.socket, response);
			return;
		}
		const fault = [...violationsOf(request), ...(await this.#act(request))];
		if (fault.length > 0) this.#answer(request, response, 400, { fault_message: fault.join("; ") });
		else this.#answer(request, response, 204, undefined);
	}

	#answer(request: Request, response: ServerResponse, status: number, body: unknown): void {
		assert.ok(isAnswer(request, status, body), "the peer itself answers as the definition says");
		response.writeHead(status, { "Content-Type": "application/json", Server: "Firecracker API" });
		response.end(body === undefined ? undefined : JSON.stringify(body));
	}

	#misbehave(how: Misbehaviour, request: Request, socket: Socket, response: ServerResponse): void {
		switch (how.kind) {
			case "refuse":
				this.#answer(request, response, how.status, { fault_message: how.message });
				return;
			case "stall":
				return;
			case "close":
				socket.destroy();
				return;
			case "garbage":
				socket.end(how.bytes);
				return;
			case "endless": {
				response.writeHead(400);
				const more = () => {
					while (!response.destroyed && response.write("x".repeat(65_536)));
				};
				response.on("drain", more);
				more();
			}
		}
	}

	/** The rules of its states that its documentation gives; what is wrong now. */
	async #act(request: Request): Promise<readonly string[]> {
		const body = (request.body ?? {}) as Readonly<Record<string, unknown>>;
		const started = this.#state === "running" || this.#state === "paused";
		const key = `${request.method} ${request.path}`;
		const phase = phaseOf(request);
		if (started && phase === "before-start") return ["not supported after starting the microVM"];
		if (!started && phase === "after-start") return ["not supported before starting the microVM"];
		if (key === "PUT /snapshot/load") {
			if (this.#state !== "fresh") return ["loading a snapshot is only possible on a fresh process"];
			this.#state = "paused";
			return this.#missing([body.snapshot_path, (body.mem_backend as { backend_path?: unknown }).backend_path]);
		}
		if (key === "PUT /actions") return this.#start(started);
		if (key === "PATCH /vm") {
			if (!started) return ["there is no machine yet"];
			this.#state = body.state === "Paused" ? "paused" : "running";
			return [];
		}
		if (key === "PUT /snapshot/create") return this.#state === "paused" ? [] : ["the machine is not paused"];
		if (!["PUT /logger", "PUT /metrics"].includes(key)) this.#state = started ? this.#state : "configured";
		return this.#missing([body.kernel_image_path, body.initrd_path, body.path_on_host, body.log_path]);
	}

	async #start(started: boolean): Promise<readonly string[]> {
		if (started) return ["the machine runs already"];
		if (!this.requests.some(({ path }) => path === "/boot-source")) return ["there is no boot source"];
		this.#state = "running";
		this.#script.started?.(this.requests);
		const vsock = this.requests.find(({ path }) => path === "/vsock")?.body as { uds_path?: string } | undefined;
		if (vsock?.uds_path !== undefined)
			await this.#listen(
				createSocketServer((socket) => this.#connect(socket)),
				vsock.uds_path,
			);
		return [];
	}

	/** docs/vsock.md of Firecracker: host-initiated connections. */
	#connect(socket: Socket): void {
		socket.once("data", (bytes) => {
			const port = /^CONNECT (\d+)\n$/.exec(bytes.toString("latin1"))?.[1];
			const { guest, greeting, isListening } = this.#script;
			if (port === undefined || guest === undefined || isListening?.() === false) {
				socket.destroy();
				return;
			}
			socket.write(greeting ?? "OK 1073741824\n");
			guest(socket, Number(port));
		});
	}

	#missing(paths: readonly unknown[]): readonly string[] {
		if (this.#script.files !== "checked") return [];
		return paths
			.filter((path): path is string => typeof path === "string")
			.filter((path) => !existsSync(join(this.#root, path)))
			.map((path) => `${path} could not be opened`);
	}
}
