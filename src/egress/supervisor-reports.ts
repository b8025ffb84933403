import type { SupervisorEvent } from "../host/index.ts";
import type { Ledger } from "./ledger.ts";
import type { GateLimits } from "./limits.ts";
import type { Explained } from "./reconcile.ts";
import type { LedgerEntry } from "./schema.ts";
import { refused } from "./verdict.ts";
import type { Visit } from "./visit.ts";

type DatagramEvent = Extract<SupervisorEvent, { readonly event: "datagram" }>;

/** IANA protocol numbers; what isn't IP has its EtherType plus this. */
const ETHERTYPE_BASE = 65_536;
const ARP = 0x0806;
const PROTOCOLS: Readonly<Record<number, { readonly protocol: LedgerEntry["protocol"]; readonly name: string }>> = {
	1: { protocol: "icmp", name: "ICMP" },
	6: { protocol: "tcp", name: "TCP" },
	17: { protocol: "udp", name: "UDP" },
	58: { protocol: "icmp", name: "ICMPv6" },
};

/** Visits whose kernel count may still come. Later ones are explained by the kernel's count alone. */
const MAX_VISITS = 50_000;

/** What the supervisor counts and the gate can't see: kernel byte counts, and frames that are no connection. */
export class SupervisorReports {
	readonly #ledger: Ledger;
	readonly #limits: GateLimits;
	readonly #visits = new Map<number, Visit>();
	/** Kernel counts that came before the gate had read the connection's header: the two come by different sockets. */
	readonly #early = new Map<number, number>();
	#strayBytes = 0;
	#dnsBytes = 0;
	#datagramBytes = 0;
	#strangeFrames = 0;

	constructor(ledger: Ledger, limits: GateLimits) {
		this.#ledger = ledger;
		this.#limits = limits;
	}

	/** A carried connection began; the kernel's count of it will come under this id. */
	expect(id: number, visit: Visit): void {
		if (this.#visits.size < MAX_VISITS) this.#visits.set(id, visit);
		const counted = this.#early.get(id);
		if (counted === undefined || !this.#early.delete(id)) return;
		if (this.#visits.has(id)) visit.countedByKernel(counted);
		else this.#strayBytes += counted;
	}

	countDns(bytes: number): void {
		this.#dnsBytes += bytes;
	}

	note(event: SupervisorEvent): void {
		if (event.event === "datagram") this.#noteDatagram(event);
		else this.#noteConnection(event.id, event.received);
	}

	#noteConnection(id: number, received: number): void {
		const visit = this.#visits.get(id);
		if (visit !== undefined) visit.countedByKernel(received);
		else if (this.#early.size < MAX_VISITS) this.#early.set(id, received);
		else this.#noteStray(received);
	}

	#noteStray(received: number): void {
		this.#strayBytes += received;
		this.refuseConnection("a connection ended before the gate could see it", received);
	}

	/** A connection that nobody looked at: what it offered, if anything, stayed here. */
	refuseConnection(why: string, withheld = 0): void {
		this.#ledger.together([`(${why})`], this.#limits.datagramFlowsListed, {
			attempt: { method: "TRANSPARENT", protocol: "tcp", port: 0 },
			verdict: refused("OTHER", why),
			withheld,
			attempts: 1,
		});
	}

	closeVisits(): void {
		for (const received of this.#early.values()) this.#noteStray(received);
		this.#early.clear();
		for (const visit of this.#visits.values()) visit.end();
	}

	explained(): Explained {
		let carriedBytes = this.#strayBytes;
		for (const visit of this.#visits.values()) {
			if (visit.path === "interface") carriedBytes += visit.received;
		}
		return {
			carriedBytes,
			dnsBytes: this.#dnsBytes,
			datagramBytes: this.#datagramBytes,
			strangeFrames: this.#strangeFrames,
		};
	}

	#noteDatagram(event: DatagramEvent): void {
		this.#datagramBytes += event.bytes;
		const foreign = event.protocol >= ETHERTYPE_BASE;
		if (foreign && event.protocol - ETHERTYPE_BASE !== ARP) this.#strangeFrames += Math.max(1, event.packets);
		const known = PROTOCOLS[event.protocol];
		const name =
			known?.name ??
			(foreign ? `EtherType ${(event.protocol - ETHERTYPE_BASE).toString(16)}` : `protocol ${event.protocol}`);
		const port = known?.protocol === "udp" || known?.protocol === "tcp" ? event.port & 0xffff : 0;
		this.#ledger.together([event.destination, "*"], this.#limits.datagramFlowsListed, {
			attempt: { method: "DATAGRAM", protocol: known?.protocol ?? "other", port },
			verdict: refused("NOT_IN_ALLOWLIST", `${name} does not leave the sandbox: only TCP does, through the gate`),
			withheld: event.bytes,
			attempts: Math.max(1, event.packets),
		});
	}
}
