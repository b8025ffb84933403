import type { SupervisorEvent } from "../../host/index.ts";
import type { GuestFrame } from "./guest-frame.ts";

type DatagramEvent = Extract<SupervisorEvent, { readonly event: "datagram" }>;
type Refused = Extract<GuestFrame, { readonly kind: "refused-datagram" }>;

const MAX_FLOWS = 256;
/** What stands for all flows beyond those. */
const OTHER_FLOWS = 255;
const GUEST_ADDRESS = { 4: "10.0.2.2", 6: "fd00:766f::2" } as const;

/** Datagrams that a guest refused: each flow is told at first sight and once more at the end, as the supervisor does. */
export class Datagrams {
	readonly #tell: (event: DatagramEvent) => void;
	readonly #later = new Map<string, DatagramEvent>();

	constructor(tell: (event: DatagramEvent) => void) {
		this.#tell = tell;
	}

	note({ protocol, destination, port, bytes }: Refused): void {
		const full = this.#later.size >= MAX_FLOWS;
		const own = `${protocol} ${destination} ${port}`;
		const known = full && !this.#later.has(own);
		const flow: DatagramEvent = {
			event: "datagram",
			protocol: known ? OTHER_FLOWS : protocol,
			source: GUEST_ADDRESS[destination.includes(":") ? 6 : 4],
			destination: known ? "0.0.0.0" : destination,
			port: known ? 0 : port,
			bytes,
			packets: 1,
		};
		const key = known ? "other" : own;
		const seen = this.#later.get(key);
		if (seen === undefined) {
			this.#later.set(key, { ...flow, bytes: 0, packets: 0 });
			this.#tell(flow);
			return;
		}
		this.#later.set(key, { ...seen, bytes: seen.bytes + bytes, packets: seen.packets + 1 });
	}

	/** Tells what came after each flow's first datagram. */
	close(): void {
		for (const event of this.#later.values()) if (event.packets > 0) this.#tell(event);
		this.#later.clear();
	}
}
