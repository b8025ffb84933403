import type { IncomingMessage, Server } from "node:http";
import type { FastifyBaseLogger } from "fastify";
import { type WebSocket, WebSocketServer } from "ws";
import { z } from "zod";
import { commandResultRequestSchema } from "../../api/conduits/schema.ts";
import { newId } from "../../core/index.ts";
import { lockCommand } from "../commands/dispatch.ts";
import { forTerritory, readReport, storeReport } from "../commands/node-handlers.ts";
import { type CommandState, isEnded } from "../commands/states.ts";
import { noteEvent } from "../domain-events.ts";
import type { Authentication } from "../http/authenticate.ts";
import { isRefusal } from "../http/refusal.ts";
import { storable } from "../http/storable.ts";
import type { Services } from "../services.ts";
import type { Store } from "../store/store.ts";
import type { TerritoryRow } from "../store/tables.ts";
import type { Wake } from "../store/wake.ts";
import { closeChannel, openChannel, refreshChannels } from "../territories/channels.ts";
import { type Credential, credentialOf, targetOf } from "./upgrade.ts";

/** Conduits section 4: Action Cable, one channel. */
const PROTOCOL = "actioncable-v1-json";
const CHANNEL = "Conduits::TerritoryChannel";
const PING_MS = 3_000;
const REFRESH_MS = 10_000;
/** A result's attachment in base64, and what goes around it. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;
/** A socket that takes nothing is closed when so much waits for it. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

const frameSchema = z.object({
	command: z.enum(["subscribe", "unsubscribe", "message"]),
	identifier: z.string().max(1024),
	data: z.string().optional(),
});
const identifierSchema = z.object({ channel: z.literal(CHANNEL) });
const resultSchema = commandResultRequestSchema.extend({
	action: z.literal("command_result"),
	command_id: z.string().max(128),
});

/** Frames of one connection that wait for their turn: while so many do, no more are read of it. */
const MAX_WAITING_FRAMES = 4;

interface Connection {
	readonly socket: WebSocket;
	readonly territory: TerritoryRow;
	/** What it showed of itself, to be looked at again. */
	readonly credential: Credential;
	/** Identifier as the client wrote it, while subscribed; it comes back as it is. */
	identifier: string | null;
	channelId: string | null;
	/** Its frames are acted on one after the other. */
	turn: Promise<void>;
	waitingFrames: number;
}

export interface CableParts {
	readonly store: Store;
	readonly services: Services;
	readonly authentication: Authentication;
	readonly log: FastifyBaseLogger;
	readonly path: string;
}

/** The WebSockets of one control plane: wake-ups and cancels out, device commands out, their results in. */
export class Cable {
	readonly #parts: CableParts;
	readonly #serverId: string;
	readonly #sockets = new WebSocketServer({
		noServer: true,
		maxPayload: MAX_FRAME_BYTES,
		perMessageDeflate: false,
		handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
	});
	readonly #connections = new Set<Connection>();
	readonly #timers: readonly NodeJS.Timeout[];
	readonly #stopListening: () => void;

	constructor(parts: CableParts) {
		this.#parts = parts;
		this.#serverId = newId(Date.now());
		this.#timers = [setInterval(() => this.#ping(), PING_MS), setInterval(() => this.#refresh(), REFRESH_MS)];
		this.#stopListening = parts.store.onWake((wake) => this.#pass(wake));
	}

	get connectionCount(): number {
		return this.#connections.size;
	}

	attach(server: Server): void {
		server.on("upgrade", (request, socket, head) => {
			if (targetOf(request).path !== this.#parts.path) {
				socket.destroy();
				return;
			}
			this.#sockets.handleUpgrade(request, socket, head, (accepted) => {
				this.#welcome(accepted, request).catch((error: unknown) => this.#drop(accepted, error));
			});
		});
	}

	/** Tells every territory to come again, and closes. */
	async close(): Promise<void> {
		for (const timer of this.#timers) clearInterval(timer);
		this.#stopListening();
		for (const { socket } of this.#connections) {
			send(socket, { type: "disconnect", reason: "server_restart", reconnect: true });
			socket.close(1001);
		}
		await Promise.all([...this.#connections].map((connection) => this.#leave(connection)));
		this.#sockets.close();
	}

	#drop(socket: WebSocket, error: unknown): void {
		this.#parts.log.error({ err: error }, "a WebSocket failed");
		socket.terminate();
	}

	async #welcome(socket: WebSocket, request: IncomingMessage): Promise<void> {
		socket.on("error", () => socket.terminate());
		const credential = credentialOf(request);
		const territory = await this.#territoryOf(credential);
		if (territory === undefined) return refuse(socket);
		const own = { identifier: null, channelId: null, turn: Promise.resolve(), waitingFrames: 0 };
		const connection: Connection = { socket, territory, credential, ...own };
		this.#connections.add(connection);
		socket.on("message", (data) => this.#hear(connection, String(data)));
		socket.on("close", () => {
			this.#connections.delete(connection);
			this.#leave(connection).catch((error: unknown) =>
				this.#parts.log.error({ err: error }, "leaving a channel failed"),
			);
		});
		send(socket, { type: "welcome" });
	}

	/** Undefined for whoever is refused. */
	async #territoryOf(credential: Credential): Promise<TerritoryRow | undefined> {
		return this.#parts.authentication.territory(credential).catch((error: unknown) => {
			if (isRefusal(error)) return undefined;
			throw error;
		});
	}

	/** What was taken back since is good for nothing that it opened either. */
	#lookAgain(connections: readonly Connection[]): void {
		for (const { socket, credential } of connections)
			this.#territoryOf(credential).then(
				(territory) => territory === undefined && refuse(socket),
				(error: unknown) => this.#parts.log.error({ err: error }, "looking at a credential again failed"),
			);
	}

	#hear(connection: Connection, text: string): void {
		const frame = frameSchema.safeParse(parseJson(text));
		if (!frame.success) return;
		const { command, identifier, data } = frame.data;
		const act = async (): Promise<void> => {
			if (command === "subscribe") await this.#subscribe(connection, identifier);
			else if (command === "unsubscribe") await this.#leave(connection);
			else await this.#takeResult(connection, data ?? "");
		};
		const { socket } = connection;
		connection.waitingFrames += 1;
		if (connection.waitingFrames === MAX_WAITING_FRAMES) socket.pause();
		connection.turn = connection.turn
			.then(act)
			.catch((error: unknown) => this.#drop(socket, error))
			.then(() => {
				connection.waitingFrames -= 1;
				if (connection.waitingFrames < MAX_WAITING_FRAMES) socket.resume();
			});
	}

	async #subscribe(connection: Connection, identifier: string): Promise<void> {
		if (!identifierSchema.safeParse(parseJson(identifier)).success) {
			send(connection.socket, { identifier, type: "reject_subscription" });
			return;
		}
		if (connection.channelId === null) {
			const { territory } = connection;
			connection.channelId = await this.#parts.store.transaction(async (session) => {
				await noteEvent(session, channelEvent(territory, "territory.websocket_connected"));
				return openChannel(session, territory.id, this.#serverId);
			});
			// It went while we wrote.
			if (!this.#connections.has(connection)) return this.#leave(connection);
		}
		connection.identifier = identifier;
		send(connection.socket, { identifier, type: "confirm_subscription" });
	}

	async #leave(connection: Connection): Promise<void> {
		const { channelId, territory } = connection;
		connection.identifier = null;
		connection.channelId = null;
		if (channelId === null) return;
		await this.#parts.store.transaction(async (session) => {
			await closeChannel(session, channelId);
			await noteEvent(session, channelEvent(territory, "territory.websocket_disconnected"));
		});
	}

	/** Section 4.6: never answered, and nothing that doesn't fit changes anything. */
	async #takeResult({ territory }: Connection, data: string): Promise<void> {
		const kept = storable(parseJson(data), "replaced");
		const message = resultSchema.safeParse("value" in kept ? kept.value : undefined);
		if (!message.success) return;
		const body = message.data;
		const { store, services, log } = this.#parts;
		const report = await readReport(body, services, "left-out").catch((error: unknown) => {
			log.warn({ err: error, command: body.command_id }, "a command's result by WebSocket was not taken");
		});
		if (report === undefined) return;
		await store.transaction(async (session) => {
			const command = await lockCommand(session, body.command_id);
			if (command?.territory_id !== territory.id || isEnded(command.state as CommandState)) return;
			await storeReport(session, command, report, "websocket");
		});
	}

	#ping(): void {
		const message = Math.floor(Date.now() / 1000);
		for (const { socket } of this.#connections) send(socket, { type: "ping", message });
	}

	#refresh(): void {
		if (this.#connections.size === 0) return;
		const { store, log } = this.#parts;
		this.#lookAgain([...this.#connections]);
		store
			.transaction((session) => refreshChannels(session, this.#serverId))
			.catch((error: unknown) => log.error({ err: error }, "refreshing channels failed"));
	}

	#pass(wake: Wake): void {
		switch (wake.kind) {
			case "directive-ready": {
				const { directiveId: directive_id, profile: sandbox_profile } = wake;
				const runs = ({ territory }: Connection) =>
					territory.account_id === wake.accountId && (territory.kind === "server" || territory.kind === "desktop");
				this.#tell(runs, { type: "directive_available", directive_id, sandbox_profile });
				return;
			}
			case "directive-cancel":
				this.#tell(({ territory }) => territory.id === wake.territoryId, {
					type: "directive_cancel",
					directive_id: wake.directiveId,
				});
				return;
			case "command-dispatched":
				this.#sendCommand(wake.territoryId, wake.commandId).catch((error: unknown) =>
					this.#parts.log.error({ err: error }, "sending a command failed"),
				);
				return;
			case "territory-shut-out":
				this.#lookAgain([...this.#connections].filter(({ territory }) => territory.id === wake.territoryId));
				return;
			case "directive-changed":
				return;
		}
	}

	async #sendCommand(territoryId: string, commandId: string): Promise<void> {
		if (![...this.#connections].some(({ territory }) => territory.id === territoryId)) return;
		const command = await this.#parts.store.read(async (session) => {
			const row = await session.db.selectFrom("commands").selectAll().where("id", "=", commandId).executeTakeFirst();
			return row === undefined ? undefined : forTerritory(session, row);
		});
		if (command === undefined) return;
		const { created_at: _, ...told } = command;
		this.#tell(({ territory }) => territory.id === territoryId, { type: "command", ...told });
	}

	#tell(whom: (connection: Connection) => boolean, message: Readonly<Record<string, unknown>>): void {
		for (const connection of this.#connections) {
			const { identifier, socket } = connection;
			if (identifier !== null && whom(connection)) send(socket, { identifier, message });
		}
	}
}

function channelEvent({ id, account_id, name }: TerritoryRow, type: string) {
	return { accountId: account_id, type, territoryId: id, payload: { territory_id: id, territory_name: name } };
}

function refuse(socket: WebSocket): void {
	send(socket, { type: "disconnect", reason: "unauthorized", reconnect: false });
	socket.close(1008);
}

function send(socket: WebSocket, frame: Readonly<Record<string, unknown>>): void {
	if (socket.bufferedAmount > MAX_BUFFERED_BYTES) socket.terminate();
	else if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(frame));
}

function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
