export interface End {
	readonly status: string;
	readonly exitCode: number;
}

/** What people and nodes were told was done. In the end it must be so. */
export class AcknowledgedRecord {
	readonly directives: string[] = [];
	readonly commands: string[] = [];
	/** By directive: the leases with which a node began to run it. */
	readonly runs = new Map<string, Set<string>>();
	/** By directive: the report that was taken as its end. */
	readonly ends = new Map<string, End>();
	/** By directive: the state in which it had ended, as a node was told. */
	readonly finalStates = new Map<string, string>();
	/** Each lease's own exit code, which tells under which lease an end was reported. */
	readonly #leases: string[] = [];
	/** By directive: chunks of its output. */
	readonly chunks = new Map<string, Set<string>>();
	/** By directive: the digest of its receipt. */
	readonly receipts = new Map<string, string>();
	/** By command: what the device answered. */
	readonly results = new Map<string, number>();

	run(directiveId: string, leaseId: string): void {
		setIn(this.runs, directiveId).add(leaseId);
	}

	exitCodeOf(leaseId: string): number {
		const known = this.#leases.indexOf(leaseId);
		return known >= 0 ? known : this.#leases.push(leaseId) - 1;
	}

	leaseOf(exitCode: number): string | undefined {
		return this.#leases[exitCode];
	}

	chunk(directiveId: string, stream: string, seq: number): void {
		setIn(this.chunks, directiveId).add(`${stream} ${seq}`);
	}
}

function setIn(map: Map<string, Set<string>>, key: string): Set<string> {
	const set = map.get(key) ?? new Set<string>();
	map.set(key, set);
	return set;
}
