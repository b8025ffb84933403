import type { Logger } from "pino";
import { WebSocket } from "ws";
import type { Waiting } from "./back-off.ts";
import { type Command, commandSchema } from "./commands.ts";
import type { TlsMaterial } from "./transport.ts";

/** What a control plane says over the WebSocket (conduits section 4.4). */
export interface ChannelEvents {
	directiveAvailable(): void;
	directiveCancel(directiveId: string): void;
	command(command: Command): void;
}

export interface ChannelSettings {
	/** `ws://…/cable?territory_id=…`, or wss with a client certificate. */
	readonly url: string;
	headers?(): Readonly<Record<string, string>>;
	tls(): TlsMaterial;
}

const PROTOCOL = "actioncable-v1-json";
const IDENTIFIER = JSON.stringify({ channel: "Conduits::TerritoryChannel" });
/** Pings come every three seconds: two missed ones are a dead link. */
const SILENCE_MS = 7_500;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;
const MAX_FRAME_BYTES = 1024 * 1024;

/** Keeps one WebSocket to the control plane open. Whatever it says is a hint: polling goes on without it. */
export class Channel {
	readonly #settings: ChannelSettings;
	readonly #events: ChannelEvents;
	readonly #waiting: Waiting;
	readonly #log: Logger;
	#isSubscribed = false;

	constructor(settings: ChannelSettings, events: ChannelEvents, waiting: Waiting, log: Logger) {
		this.#settings = settings;
		this.#events = events;
		this.#waiting = waiting;
		this.#log = log;
	}

	get isSubscribed(): boolean {
		return this.#isSubscribed;
	}

	/** Until `stop`; lost connections are opened again, ever more slowly. */
	async run(stop: AbortSignal): Promise<void> {
		let retryMs = FIRST_RETRY_MS;
		while (!stop.aborted) {
			const lasted = await this.#connection(stop).catch(() => "failed" as const);
			this.#isSubscribed = false;
			retryMs = lasted === "worked" ? FIRST_RETRY_MS : Math.min(retryMs * 2, LONGEST_RETRY_MS);
			await this.#waiting.pause(retryMs * (0.75 + this.#waiting.random() / 2), stop);
		}
	}

	#connection(stop: AbortSignal): Promise<"worked" | "failed"> {
		const { url } = this.#settings;
		const tls = this.#settings.tls();
		const { origin } = new URL(url.replace(/^ws/, "http"));
		const socket = new WebSocket(url, PROTOCOL, {
			origin,
			headers: this.#settings.headers?.() ?? {},
			maxPayload: MAX_FRAME_BYTES,
			handshakeTimeout: 10_000,
			followRedirects: false,
			...(tls.ca === null ? {} : { ca: tls.ca }),
			...(tls.certificate === null || tls.key === null ? {} : { cert: tls.certificate, key: tls.key }),
		});
		return new Promise((resolve) => {
			let silence: NodeJS.Timeout | undefined;
			const heard = (): void => {
				clearTimeout(silence);
				silence = setTimeout(() => socket.terminate(), SILENCE_MS);
			};
			const end = (): void => socket.close(1000);
			stop.addEventListener("abort", end, { once: true });
			heard();
			socket.on("error", (error) => this.#log.info({ problem: error.message }, "the channel is down"));
			socket.on("message", (data) => {
				heard();
				this.#hear(socket, String(data));
			});
			socket.on("close", () => {
				clearTimeout(silence);
				stop.removeEventListener("abort", end);
				resolve(this.#isSubscribed ? "worked" : "failed");
			});
		});
	}

	#hear(socket: WebSocket, text: string): void {
		const frame = parsed(text);
		if (frame.type === "welcome") socket.send(JSON.stringify({ command: "subscribe", identifier: IDENTIFIER }));
		if (frame.type === "confirm_subscription") {
			this.#isSubscribed = true;
			this.#log.info("the channel is up");
			// What became ready before is not told again.
			this.#events.directiveAvailable();
		}
		const { message } = frame;
		if (message === undefined || frame.identifier !== IDENTIFIER) return;
		if (message.type === "directive_available") this.#events.directiveAvailable();
		if (message.type === "directive_cancel" && typeof message.directive_id === "string")
			this.#events.directiveCancel(message.directive_id);
		const command = message.type === "command" ? commandSchema.safeParse(message).data : undefined;
		if (command !== undefined) this.#events.command(command);
	}
}

interface Frame {
	readonly type?: unknown;
	readonly identifier?: unknown;
	readonly message?: { readonly type?: unknown; readonly directive_id?: unknown };
}

function parsed(text: string): Frame {
	try {
		const frame: Frame | null = JSON.parse(text);
		const isObject = (value: unknown) => typeof value === "object" && value !== null;
		if (frame === null || !isObject(frame)) return {};
		return isObject(frame.message) ? frame : { type: frame.type, identifier: frame.identifier };
	} catch {
		return {};
	}
}
