/** A fixed window: the request past `requests` in it is refused until it ends (conduits section 2.1). */
export interface Rate {
	readonly requests: number;
	readonly windowMs: number;
	/** What is counted: the network address, or the credential, which is the address where there is none. */
	readonly by: "address" | "credential";
}

const MINUTE_MS = 60_000;

/**
 * Node routes have the windows of the protocol, but for a directive's own: log chunks are counted by directive and so
 * generously that a chatty command loses nothing (section 2.1, quirk).
 */
export const RATES = {
	enroll: { requests: 10, windowMs: 60 * MINUTE_MS, by: "address" },
	poll: { requests: 60, windowMs: MINUTE_MS, by: "credential" },
	"territory-heartbeat": { requests: 10, windowMs: MINUTE_MS, by: "credential" },
	"directive-report": { requests: 300, windowMs: MINUTE_MS, by: "credential" },
	"log-chunk": { requests: 6000, windowMs: MINUTE_MS, by: "credential" },
	people: { requests: 1200, windowMs: MINUTE_MS, by: "credential" },
	"sign-in": { requests: 20, windowMs: MINUTE_MS, by: "address" },
} as const satisfies Record<string, Rate>;
export type RateName = keyof typeof RATES;
