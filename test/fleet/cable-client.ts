import assert from "node:assert/strict";
import WebSocket from "ws";
import type { ClientCertificate, Parsed, World } from "./world.ts";

/** As a client writes it; spaces and order are its own, and come back as they are. */
export const IDENTIFIER = '{ "channel" : "Conduits::TerritoryChannel" }';

export interface CableOptions {
	readonly query?: string;
	readonly headers?: Readonly<Record<string, string>>;
	readonly certificate?: ClientCertificate;
}

/** An Action Cable client of a territory (conduits section 4), which keeps every frame. */
export class CableClient {
	readonly frames: Parsed[] = [];
	readonly #socket: WebSocket;
	#closedWith: number | undefined;
	#changed = () => {};

	constructor(world: World, { query = "", headers = {}, certificate }: CableOptions) {
		const ca = world.serverCertificate === null ? {} : { ca: world.serverCertificate };
		const url = `${world.base.replace("http", "ws")}/cable${query}`;
		this.#socket = new WebSocket(url, "actioncable-v1-json", { headers, ...ca, ...certificate });
		this.#socket.on("message", (data) => {
			this.frames.push(JSON.parse(String(data)));
			this.#changed();
		});
		this.#socket.on("close", (code) => {
			this.#closedWith = code;
			this.#changed();
		});
		this.#socket.on("error", () => {});
	}

	get protocol(): string {
		return this.#socket.protocol;
	}

	/** Connected and subscribed. */
	static async subscribed(world: World, options: CableOptions): Promise<CableClient> {
		const client = new CableClient(world, options);
		await client.frame(({ type }) => type === "welcome");
		client.send({ command: "subscribe", identifier: IDENTIFIER });
		await client.frame(({ type }) => type === "confirm_subscription");
		return client;
	}

	/** The first frame that fits, be it here or yet to come. */
	async frame(fits: (frame: Parsed) => boolean): Promise<Parsed> {
		await this.#until(() => this.frames.some(fits), "no such frame");
		return this.frames.find(fits);
	}

	message(type: string): Promise<Parsed> {
		return this.frame(({ message }) => message?.type === type);
	}

	send(frame: unknown): void {
		this.#socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
	}

	perform(action: object): void {
		this.send({ command: "message", identifier: IDENTIFIER, data: JSON.stringify(action) });
	}

	async close(): Promise<void> {
		this.#socket.close();
		await this.closed();
	}

	async closed(): Promise<number> {
		await this.#until(() => this.#closedWith !== undefined, "it stays open");
		return this.#closedWith ?? 0;
	}

	async #until(holds: () => boolean, otherwise: string): Promise<void> {
		const late = AbortSignal.timeout(60_000);
		while (!holds()) {
			const { promise, resolve } = Promise.withResolvers<void>();
			this.#changed = resolve;
			late.addEventListener("abort", () => resolve(), { once: true });
			await promise;
			assert.ok(!late.aborted, `${otherwise}: ${JSON.stringify(this.frames)}`);
		}
	}
}
