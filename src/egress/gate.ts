import { chmod, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type Clock, type Digest, systemClock } from "../core/index.ts";
import type { InterfaceCounters, SupervisorEvent } from "../host/index.ts";
import { isLoopback } from "./addresses.ts";
import type { Guest } from "./admission.ts";
import { type CarrierHeader, parseCarrierHeader } from "./carrier.ts";
import type { UpstreamProxy } from "./dial.ts";
import { answerQuery } from "./dns-server.ts";
import { fail } from "./failures.ts";
import { Ledger, type ProcessLookup, type Source } from "./ledger.ts";
import { type GateLimits, gateLimits } from "./limits.ts";
import { namePool } from "./names.ts";
import { sparingLookup } from "./process-lookups.ts";
import { serveProxy } from "./proxy.ts";
import { reconcile } from "./reconcile.ts";
import { type GateResolver, rememberingResolver, systemResolver } from "./resolver.ts";
import { type RoutingContext, readDnsMessage, serveCarried, withLength } from "./routing.ts";
import type { CompiledRules } from "./rules.ts";
import type { LedgerEntry, LedgerSummary } from "./schema.ts";
import { SupervisorReports } from "./supervisor-reports.ts";
import { refused } from "./verdict.ts";
import { Visit } from "./visit.ts";
import { Wire } from "./wire.ts";

export interface GateOptions {
	readonly rules: CompiledRules;
	/** Unix socket (mode 0600) on which the supervisor hands connections over; its folder is private to the run. */
	readonly socketPath: string;
	/** A plain proxy on 127.0.0.1 beside it, without a supervisor; port 0 picks one. */
	readonly proxyPort?: number;
	readonly resolver?: GateResolver;
	readonly upstreamProxy?: UpstreamProxy | null;
	/** Finds the process behind a port of the sandbox's namespace; best effort. */
	readonly processOf?: ProcessLookup;
	/** Called as each entry ends. Bytes withheld may still grow until `close`. */
	readonly onEntry?: (entry: LedgerEntry) => void;
	readonly limits?: Partial<GateLimits>;
	readonly clock?: Clock;
}

export interface GateClosing {
	/** Of the sandbox's interface just before it went; null when there was none. */
	readonly counters: InterfaceCounters | null;
	/** RFC 6962 root; the leaves are the entries' canonical JSON, not yet hashed. */
	readonly merkleRoot: (leaves: Uint8Array[]) => Digest;
}

export interface Gate {
	readonly socketPath: string;
	/** Port of the plain proxy, or null. */
	readonly proxyPort: number | null;
	noteSupervisorEvent(event: SupervisorEvent): void;
	/** Cuts every connection, removes the socket, and returns what happened. Idempotent: later calls get the same. */
	close(closing: GateClosing): Promise<{ readonly summary: LedgerSummary; readonly entries: LedgerEntry[] }>;
}

/** Linux takes 107 bytes and a NUL; conduits 9 says 104 for every system. */
const MAX_SOCKET_PATH = 104;
const RESOLVER_MEMORY_MS = 5_000;
const CLOSING_MS = 500;

export async function openGate(options: GateOptions): Promise<Gate> {
	const path = options.socketPath;
	if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
		throw fail("gate-socket-path-too-long", { path, limit: String(MAX_SOCKET_PATH) });
	}
	const limits = gateLimits(options.limits);
	const { rules, clock = systemClock, processOf = null, onEntry = null, upstreamProxy = null } = options;
	const resolver = rememberingResolver(options.resolver ?? systemResolver, RESOLVER_MEMORY_MS);
	const ledger = new Ledger({ clock, limits, processOf: processOf && sparingLookup(processOf), onEntry });
	const names = namePool(limits.syntheticNames);
	const reception = new Reception({ rules, limits, resolver, upstreamProxy, ledger, names });
	await rm(path, { force: true });
	const carried = await listen((socket) => reception.carried(socket), { path });
	await chmod(path, 0o600);
	const proxy =
		options.proxyPort === undefined
			? null
			: await listen((socket) => reception.direct(socket), { host: "127.0.0.1", port: options.proxyPort });
	let closed: ReturnType<Gate["close"]> | null = null;
	const close: Gate["close"] = async ({ counters, merkleRoot }) => {
		const ended = [carried, proxy].map((server) => server && new Promise((done) => server.close(done)));
		await reception.end();
		await Promise.all(ended);
		await rm(path, { force: true });
		return ledger.close(merkleRoot, reconcile(counters, reception.reports.explained()));
	};
	const address = proxy?.address();
	return {
		socketPath: path,
		proxyPort: typeof address === "object" && address !== null ? address.port : null,
		noteSupervisorEvent: (event) => reception.reports.note(event),
		close: (closing) => {
			closed ??= close(closing);
			return closed;
		},
	};
}

type ListenTarget = { readonly path: string } | { readonly host: string; readonly port: number };

function listen(onSocket: (socket: Socket) => void, target: ListenTarget): Promise<Server> {
	const server = createServer({ allowHalfOpen: true, highWaterMark: 262_144 }, onSocket);
	return new Promise((resolve, reject) => {
		server.once("error", (error) => {
			const where = "path" in target ? target.path : `${target.host}:${target.port}`;
			reject(fail("gate-not-listening", { where, problem: error.message }, error));
		});
		server.listen({ ...target, backlog: 512 }, () => resolve(server));
	});
}

/** Receives connections, keeps count of them, and makes sure that each ends and is accounted for. */
class Reception {
	readonly reports: SupervisorReports;
	readonly #context: RoutingContext;
	readonly #open = new Set<Wire>();
	readonly #serving = new Set<Promise<void>>();

	constructor(context: RoutingContext) {
		this.#context = context;
		this.reports = new SupervisorReports(context.ledger, context.limits);
	}

	/** A connection that the supervisor carries: its first line says what it is. */
	carried(socket: Socket): void {
		this.#receive(socket, async (client) => {
			const header = await this.#readHeader(client);
			if (header === null) return client.destroy();
			if (header.kind === "dns") return this.#serveDatagram(client, header);
			const visit = new Visit(isLoopback(header.source.address) ? "loopback" : "interface");
			this.reports.expect(header.id, visit);
			await this.#serve(client, visit, header.source, (guest) =>
				serveCarried(this.#context, guest, header.destination),
			);
		});
	}

	/** A connection of a program that uses the plain proxy. */
	direct(socket: Socket): void {
		const source = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
		this.#receive(socket, (client) =>
			this.#serve(client, new Visit("loopback"), source, (guest) => serveProxy(this.#context, guest)),
		);
	}

	/** Cuts everything. A dial under way may take longer: its entry ends here and its connection is never used. */
	async end(): Promise<void> {
		for (const wire of this.#open) wire.destroy();
		await Promise.race([Promise.allSettled(this.#serving), delay(CLOSING_MS, undefined, { ref: false })]);
		this.reports.closeVisits();
	}

	#receive(socket: Socket, serve: (client: Wire) => Promise<void>): void {
		const client = Wire.accepted(socket);
		if (this.#open.size >= this.#context.limits.connections) {
			this.reports.refuseConnection("too many connections at once");
			client.destroy();
			return;
		}
		this.#open.add(client);
		client.closed.then(() => this.#open.delete(client));
		// A defect in here must cost one connection, never the gate.
		const served = serve(client).catch(() => client.destroy());
		this.#serving.add(served);
		served.then(() => this.#serving.delete(served));
	}

	async #serve(client: Wire, visit: Visit, source: Source, serve: (guest: Guest) => Promise<void>): Promise<void> {
		const before = client.bytesIn - client.held.length;
		try {
			await serve({ client, source, visit });
			await client.closed;
		} catch (error) {
			visit.failed(refused("INTERNAL_ERROR", `the gate failed: ${error instanceof Error ? error.message : "unknown"}`));
			throw error;
		} finally {
			client.destroy();
			visit.close(client.bytesIn - before);
		}
	}

	async #readHeader(client: Wire): Promise<CarrierHeader | null> {
		const { carrierHeaderBytes, carrierHeaderMs } = this.#context.limits;
		const deadline = performance.now() + carrierHeaderMs;
		for (;;) {
			const parsed = parseCarrierHeader(client.held, carrierHeaderBytes);
			if (parsed.state === "malformed") return null;
			if (parsed.state === "header") {
				client.take(parsed.header.length);
				return parsed.header;
			}
			if ((await client.more(deadline - performance.now())) !== "bytes") return null;
		}
	}

	async #serveDatagram(client: Wire, header: CarrierHeader): Promise<void> {
		const guest: Guest = { client, source: header.source, visit: new Visit("loopback") };
		const message = await readDnsMessage(this.#context, guest);
		this.reports.countDns(message?.length ?? 0);
		const answer = message === null ? null : answerQuery(this.#context, message);
		client.hangUp(answer === null ? "" : withLength(answer), this.#context.limits.lingerMs);
	}
}
