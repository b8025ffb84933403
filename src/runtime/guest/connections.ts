import type { Socket } from "node:net";
import type { InterfaceCounters, SupervisorEvent } from "../../host/index.ts";
import { ByteQueue } from "./byte-queue.ts";
import { type OpenedConnection, ProtocolViolation } from "./guest-frame.ts";
import { credit, reset } from "./host-frame.ts";
import { type OutgoingLine, OutgoingStream } from "./outgoing.ts";
import { HEADER_BYTES, RESET_REASON } from "./protocol.ts";

/** The gate, as a guest's connections reach it. */
export interface GateDoor {
	/** A new connection to the gate's Unix socket, half-open allowed; it may fail later. */
	connect(): Socket;
	readonly maxConnections: number;
}

const WINDOW_BYTES = 262_144;
const LINGER_MS = 2000;
/** The gate's own bound of one message (`dnsMessageBytes`), and its length before it. */
const MOST_QUESTION_BYTES = 4096 + 2;
const UDP = 17;
/** Length of OPEN's payload. */
const OPEN_BYTES = 40;

/** What the guest's connections need of the channel that carries them. */
export interface ConnectionsOptions {
	readonly line: OutgoingLine;
	readonly gate: GateDoor;
	readonly onEvent: (event: SupervisorEvent) => void;
}

/** Every connection that the guest opens is one to the gate's socket, introduced as the supervisor introduces its own. */
export class Connections {
	readonly #options: ConnectionsOptions;
	readonly #open = new Map<number, GateConnection>();
	#highest = 0;
	/** What may still arrive on streams that were closed here first. */
	#lateBytes = 0;
	readonly #counters = { txBytes: 0, txPackets: 0, rxBytes: 0, rxPackets: 0, retransmittedBytes: 0 };

	constructor(options: ConnectionsOptions) {
		this.#options = options;
	}

	/**
	 * Everything that connections and refused datagrams moved over the channel, which is the guest's only way out: frames with
	 * their headers, as an interface counts packets. Connections that never left the guest's loopback are not among them.
	 */
	get counters(): InterfaceCounters {
		return { ...this.#counters };
	}

	open(id: number, opened: OpenedConnection): void {
		if (id <= this.#highest) throw new ProtocolViolation(`stream ${id} was opened when ${this.#highest} had been`);
		this.#highest = id;
		this.#countSent(opened, OPEN_BYTES);
		const { line, gate } = this.#options;
		if (this.#open.size >= gate.maxConnections) {
			line.say(reset(id, RESET_REASON.refused));
			this.#tell(id, opened, { received: 0, sent: 0 });
			return;
		}
		const connection = new GateConnection(id, opened, gate.connect(), line, {
			received: (bytes) => this.#countReceived(opened, bytes),
			over: (unusedBytes) => {
				this.#open.delete(id);
				this.#lateBytes += unusedBytes;
				this.#tell(id, opened, { received: connection.receivedBytes, sent: connection.sentBytes });
			},
		});
		this.#open.set(id, connection);
		connection.begin();
	}

	data(id: number, bytes: Buffer): void {
		const connection = this.#known(id);
		if (connection !== undefined) {
			this.#countSent(connection.opened, bytes.length);
			connection.receive(bytes);
			if (connection.opened.protocol === "dns" && connection.receivedBytes > MOST_QUESTION_BYTES) {
				this.#refuseQuestion(connection);
			}
			return;
		}
		this.#lateBytes -= bytes.length;
		if (this.#lateBytes < 0) throw new ProtocolViolation(`data came on stream ${id}, which is over`);
	}

	grant(id: number, bytes: number): void {
		this.#known(id)?.outgoing.grant(bytes);
	}

	end(id: number): void {
		this.#known(id)?.finish();
	}

	reset(id: number): void {
		this.#known(id)?.abandon();
	}

	/** The run is over: every connection ends here, and is told of. */
	close(): void {
		for (const connection of [...this.#open.values()]) connection.abandon();
	}

	/** The gate keeps count of questions itself: they are no connections of its ledger. */
	#tell(id: number, { protocol }: OpenedConnection, bytes: { readonly received: number; readonly sent: number }): void {
		if (protocol === "tcp") this.#options.onEvent({ event: "connection", id, ...bytes });
	}

	/** What the gate would not read either goes nowhere, and into the ledger as a datagram that was refused. */
	#refuseQuestion(connection: GateConnection): void {
		const { source, destination } = connection.opened;
		this.#options.onEvent({
			event: "datagram",
			protocol: UDP,
			source: source.address,
			destination: destination.address,
			port: destination.port,
			bytes: connection.receivedBytes,
			packets: 1,
		});
		connection.breakOff(RESET_REASON.refused);
	}

	#known(id: number): GateConnection | undefined {
		if (id > this.#highest || id % 2 !== 0) throw new ProtocolViolation(`stream ${id} was never opened`);
		return this.#open.get(id);
	}

	#countSent({ source }: OpenedConnection, bytes: number): void {
		if (isLoopback(source.address)) return;
		this.#counters.txBytes += bytes + HEADER_BYTES;
		this.#counters.txPackets += 1;
	}

	#countReceived({ source }: OpenedConnection, bytes: number): void {
		if (isLoopback(source.address)) return;
		this.#counters.rxBytes += bytes + HEADER_BYTES;
		this.#counters.rxPackets += 1;
	}

	/** Datagrams that the guest told of and did not carry. */
	countDatagrams(bytes: number, packets: number): void {
		this.#counters.txBytes += bytes + HEADER_BYTES * packets;
		this.#counters.txPackets += packets;
	}
}

function isLoopback(address: string): boolean {
	return address.startsWith("127.") || address === "0:0:0:0:0:0:0:1";
}

interface Watcher {
	received(bytes: number): void;
	/** Called once; with the bytes that the guest may still send. */
	over(unusedBytes: number): void;
}

/** One stream of the guest and one socket to the gate, joined with back-pressure and half-closes both ways. */
class GateConnection {
	readonly outgoing: OutgoingStream;
	readonly opened: OpenedConnection;
	receivedBytes = 0;
	sentBytes = 0;
	readonly #id: number;
	readonly #socket: Socket;
	readonly #line: OutgoingLine;
	readonly #watcher: Watcher;
	readonly #queue = new ByteQueue();
	#granted = WINDOW_BYTES;
	#writing = false;
	#guestEnded = false;
	#over = false;
	/** Set while the gate has gone and the guest has not. */
	#lingering: NodeJS.Timeout | null = null;

	constructor(id: number, opened: OpenedConnection, socket: Socket, line: OutgoingLine, watcher: Watcher) {
		this.#id = id;
		this.opened = opened;
		this.#socket = socket;
		this.#line = line;
		this.#watcher = watcher;
		this.outgoing = new OutgoingStream(id, line, 0);
	}

	begin(): void {
		const { protocol, source, destination } = this.opened;
		const route = `${source.address} ${source.port} ${destination.address} ${destination.port}`;
		this.#socket.on("error", () => {}); // seen as its close
		this.#socket.on("close", () => this.#gateClosed());
		this.#socket.write(`VOUCH1 ${protocol} ${this.#id} ${route}\n`);
		this.#line.say(credit(this.#id, WINDOW_BYTES));
		this.outgoing.onSent = () => this.#socket.resume();
		this.#socket.on("data", (chunk: Buffer) => {
			this.sentBytes += chunk.length;
			this.#watcher.received(chunk.length);
			this.outgoing.send(chunk);
			if (!this.outgoing.isIdle) this.#socket.pause();
		});
		this.#socket.on("end", () => this.outgoing.finish());
	}

	receive(bytes: Buffer): void {
		if (this.#guestEnded) throw new ProtocolViolation(`data came on stream ${this.#id} after its end`);
		if (bytes.length > this.#granted) throw new ProtocolViolation(`stream ${this.#id} overran its credit`);
		this.#granted -= bytes.length;
		this.receivedBytes += bytes.length;
		if (this.#lingering !== null) this.breakOff(RESET_REASON.discarded);
		else if (this.#writing) this.#queue.push(bytes);
		else this.#write(bytes);
	}

	/** The guest sends no more. */
	finish(): void {
		if (this.#guestEnded) throw new ProtocolViolation(`stream ${this.#id} ended twice`);
		this.#guestEnded = true;
		if (this.#lingering !== null) this.abandon();
		else if (!this.#writing) this.#socket.end();
	}

	/** Over both ways, without a word to the guest. */
	abandon(): void {
		if (this.#over) return;
		this.#over = true;
		if (this.#lingering !== null) clearTimeout(this.#lingering);
		this.outgoing.cancel();
		this.#queue.clear();
		this.#socket.destroy();
		this.#watcher.over(this.#guestEnded ? 0 : this.#granted);
	}

	#write(bytes: Buffer): void {
		this.#writing = true;
		this.#socket.write(bytes, () => {
			this.#writing = false;
			if (this.#over) return;
			this.#replenish();
			const more = this.#queue.shift(WINDOW_BYTES);
			if (more !== null) this.#write(more);
			else if (this.#guestEnded) this.#socket.end();
		});
	}

	#replenish(): void {
		const room = WINDOW_BYTES - this.#granted - this.#queue.length;
		if (this.#guestEnded || room < WINDOW_BYTES / 4) return;
		this.#granted += room;
		this.#line.say(credit(this.#id, room));
	}

	/** Both directions ended in order, or the gate broke it off: the guest is told so, after what the gate had sent. */
	#gateClosed(): void {
		if (this.#over) return;
		if (!this.#socket.readableEnded) this.breakOff(RESET_REASON.gone);
		else if (!this.outgoing.isOver) this.outgoing.onSent = () => this.#gateClosed();
		else if (this.#guestEnded) this.abandon();
		// As a TCP peer that has closed: reset by the next byte, or after a while. Before, its last bytes might go unread.
		else this.#lingering = setTimeout(() => this.breakOff(RESET_REASON.gone), LINGER_MS);
	}

	/** Over both ways, and the guest is told. */
	breakOff(reason: number): void {
		if (this.#over) return;
		this.#line.say(reset(this.#id, reason));
		this.abandon();
	}
}
