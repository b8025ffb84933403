import type { Line } from "./ledger.ts";
import type { Refused } from "./verdict.ts";

/**
 * One carried connection and the attempts made on it. What the sandbox offered and no attempt forwarded is withheld:
 * request heads that were refused, proxy handshakes, bytes after a refusal.
 */
export class Visit {
	/** Whether its bytes crossed the sandbox's interface, whose counters they then explain; loopback ones did not. */
	readonly path: "interface" | "loopback";
	readonly #lines: Line[] = [];
	#readByGate = 0;
	#countedByKernel: number | null = null;
	#closed = false;

	constructor(path: "interface" | "loopback") {
		this.path = path;
	}

	add(line: Line): void {
		this.#lines.push(line);
	}

	/** Payload bytes offered: the kernel's count once the supervisor has reported it. */
	get received(): number {
		return this.#countedByKernel ?? this.#readByGate;
	}

	/** The connection is over, with this many payload bytes read. */
	close(readByGate: number): void {
		this.#closed = true;
		this.#readByGate = readByGate;
		for (const line of this.#lines) line.finish();
		this.#settle();
	}

	/** The supervisor's report; it may come before the gate has read everything. */
	countedByKernel(received: number): void {
		this.#countedByKernel = received;
		if (this.#closed) this.#settle();
	}

	/** The gate itself failed: what was not decided yet is refused for that. */
	failed(refusal: Refused): void {
		for (const line of this.#lines) if (line.isOpen) line.decide(refusal);
	}

	/** The run is over: entries that are still open end here. */
	end(): void {
		for (const line of this.#lines) line.finish();
		this.#closed = true;
		this.#settle();
	}

	#settle(): void {
		const last = this.#lines.at(-1);
		if (last === undefined) return;
		const forwarded = this.#lines.reduce((total, line) => total + line.draft.bytesUp, 0);
		last.draft.bytesWithheld = Math.max(0, this.received - forwarded);
	}
}
