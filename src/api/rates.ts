/** A fixed window: the request past `requests` in it is refused until it ends (conduits section 2.1). */
export interface Rate {
	readonly requests: number;
	readonly windowMs: number;
	/** What is counted: the network that a request comes from, or who proved to be asking. */
	readonly by: "address" | "credential";
	/** `waits`: none is refused for being one too many, each waits its turn instead. */
	readonly past: "refused" | "waits";
}

const MINUTE_MS = 60_000;
const REFUSED = { windowMs: MINUTE_MS, by: "credential", past: "refused" } as const;

/**
 * Node routes have the windows of the protocol, but for a directive's own: existing nodes don't send a refused log chunk again, so
 * these wait (section 2.1, quirk). A directive is counted by itself: one that is noisy costs its neighbours nothing. Polls are ten
 * times the protocol's: a node that ends short directives as they come polls twice for each.
 */
export const RATES = {
	enroll: { requests: 10, windowMs: 60 * MINUTE_MS, by: "address", past: "refused" },
	poll: { ...REFUSED, requests: 600 },
	"territory-heartbeat": { ...REFUSED, requests: 10 },
	"directive-report": { ...REFUSED, requests: 300 },
	"log-chunk": { ...REFUSED, requests: 6000, past: "waits" },
	people: { ...REFUSED, requests: 1200 },
	"sign-in": { ...REFUSED, requests: 20, by: "address" },
	/** Of no operation: requests of one network whose credential does not hold. */
	"wrong-credential": { ...REFUSED, requests: 100, by: "address" },
} as const satisfies Record<string, Rate>;
export type RateName = keyof typeof RATES;
