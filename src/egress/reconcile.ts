import type { InterfaceCounters } from "../host/index.ts";
import type { Reconciliation } from "./schema.ts";

/** What the ledger can explain of the bytes that the sandbox's interface sent. */
export interface Explained {
	/** Payload of every carried connection as the kernel counted it. */
	readonly carriedBytes: number;
	readonly dnsBytes: number;
	/** Bytes of refused datagrams. */
	readonly datagramBytes: number;
	/** Frames that were neither IP nor ARP: nothing explains those. */
	readonly strangeFrames: number;
}

/** The most that carries no payload in one packet: Ethernet 14, IPv6 40, TCP with every option 60. */
const HEADER_BYTES = 114;

/** Compares the interface's own counters with the ledger. A byte that nothing explains fails the run. */
export function reconcile(counters: InterfaceCounters | null, explained: Explained): Reconciliation {
	const payload = explained.carriedBytes + explained.dnsBytes + explained.datagramBytes;
	if (counters === null) {
		return {
			verdict: explained.strangeFrames > 0 ? "unaccounted-egress" : "not-measured",
			interfaceTxBytes: 0,
			interfaceTxPackets: 0,
			interfaceRxBytes: 0,
			interfaceRxPackets: 0,
			explainedBytes: payload,
			unexplainedBytes: 0,
		};
	}
	const explainedBytes = payload + counters.retransmittedBytes;
	const unexplainedBytes = Math.max(0, counters.txBytes - HEADER_BYTES * counters.txPackets - explainedBytes);
	return {
		verdict: unexplainedBytes > 0 || explained.strangeFrames > 0 ? "unaccounted-egress" : "agrees",
		interfaceTxBytes: counters.txBytes,
		interfaceTxPackets: counters.txPackets,
		interfaceRxBytes: counters.rxBytes,
		interfaceRxPackets: counters.rxPackets,
		explainedBytes,
		unexplainedBytes,
	};
}
